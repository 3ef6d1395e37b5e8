//! The promises of a list of rooms: the members in their order, and few queries.
//! Does not know a dialect.

use jiff::Timestamp;

use super::*;
use crate::bus::Local;
use crate::model::{Clock, Command, NewUser, Profile, Rights};
use crate::service::Limits;
use crate::store;
use crate::telemetry::Metrics;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn open_room(members: Vec<UserId>) -> NewChat {
    NewChat {
        id: ChatId::new(NOW),
        name: None,
        policy: Policy::Open,
        owner: None,
        team: None,
        members,
        key: None,
        at: NOW,
        audit: Vec::new(),
    }
}

#[tokio::test]
async fn the_people_of_all_listed_rooms_are_read_at_once_and_keep_their_order() {
    let metrics = Metrics::default();
    let opened = store::open("sqlite::memory:").await.expect("a store");
    let store = store::instrumented(opened, metrics.clone());
    let limits = Limits {
        message_bytes: 100,
        members: 100,
        chats: None,
    };
    let (bus, clock) = (Arc::new(Local::default()), Clock::fixed(NOW));
    let (service, _) = Service::new(Arc::clone(&store), bus, clock, limits, metrics.clone());
    let mut people = Vec::new();
    for name in ["anna", "boris", "vera"] {
        let new = NewUser {
            id: UserId::new(NOW),
            external_id: name.into(),
            profile: Profile::default(),
            at: NOW,
            audit: None,
        };
        people.push(store.find_or_create_user(new).await.expect("a user").id);
    }
    let [anna, boris, vera] = people[..] else {
        panic!("three people");
    };
    let everybody = [
        vec![vera, anna],
        vec![anna, boris, vera],
        vec![],
        vec![boris],
    ];
    for members in &everybody {
        let room = open_room(members.clone());
        store.create_chat(room).await.expect("a chat");
    }
    let identity = Identity {
        user: Some(anna),
        rights: Rights::Own,
        connection: None,
        request: None,
    };
    let listed = service
        .execute(
            &identity,
            Command::ListRooms {
                limit: None,
                before: None,
            },
        )
        .await;
    let Ok(Reply::Rooms(RoomPage { mut rooms, .. })) = listed else {
        panic!("{listed:?}");
    };
    rooms.sort_by_key(|room| room.chat.pk);
    let of = |room: &Room| room.members.iter().map(|user| user.id).collect::<Vec<_>>();
    assert_eq!(rooms.iter().map(of).collect::<Vec<_>>(), everybody);
    let once = r#"polychat_store_seconds_count{operation="users"} 1"#;
    assert!(metrics.text().lines().any(|line| line == once));
}
