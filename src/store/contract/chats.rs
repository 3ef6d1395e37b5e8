//! The promises of `Chats`.
//! Does not know which store is under test.

use super::*;
use crate::model::{ChatChange, ChatMark, ChatPage, History, Range, Window};
use crate::store::StoreError;

async fn page(store: &Subject, user: &User, limit: usize) -> ChatPage {
    let page = store.chats_of(user.id, None, limit).await;
    page.expect("a page")
}

fn ids(page: &ChatPage) -> Vec<ChatId> {
    page.chats.iter().map(|chat| chat.id).collect()
}

pub async fn a_new_chat_gets_the_next_pk_and_keeps_the_order_of_its_members(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let first = chat(&store, &[&boris, &anna], 1).await;
    let second = chat(&store, &[&anna], 2).await;
    assert_eq!((first.pk, second.pk), (1, 2));
    assert_eq!(first.members, [boris.id, anna.id]);
    assert_eq!((first.head, first.active_at), (0, at(1)));
    assert_eq!(store.chat(first.id).await.expect("an answer"), Some(first));
}

pub async fn a_taken_id_is_a_duplicate_and_changes_nothing(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let first = chat(&store, &[&anna], 1).await;
    let again = NewChat {
        id: first.id,
        ..new_chat(&[&boris], 2)
    };
    let refused = store.create_chat(again).await;
    assert!(matches!(refused, Err(StoreError::Duplicate)), "{refused:?}");
    assert_eq!(store.chat(first.id).await.expect("an answer"), Some(first));
    assert!(page(&store, &boris, 10).await.chats.is_empty());
}

pub async fn with_a_member_who_is_no_user_nothing_is_created(store: Subject) {
    let anna = user(&store, "anna").await;
    let mut new = new_chat(&[&anna], 1);
    new.members.push(UserId::new(at(9)));
    let id = new.id;
    let refused = store.create_chat(new).await;
    assert!(
        matches!(refused, Err(StoreError::Corrupt(_))),
        "{refused:?}"
    );
    assert_eq!(store.chat(id).await.expect("an answer"), None);
    assert!(page(&store, &anna, 10).await.chats.is_empty());
}

pub async fn an_unknown_chat_is_none(store: Subject) {
    let found = store.chat(ChatId::new(at(0))).await.expect("an answer");
    assert_eq!(found, None);
}

pub async fn chats_come_with_the_most_recently_active_first(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let old = chat(&store, &[&anna], 1).await;
    let new = chat(&store, &[&anna, &boris], 2).await;
    chat(&store, &[&boris], 3).await;
    assert_eq!(ids(&page(&store, &anna, 10).await), [new.id, old.id]);
    let batch = vec![entry(old.id, &anna, "hello", 4)];
    store.append(batch).await.expect("stored");
    let page = page(&store, &anna, 10).await;
    assert_eq!(ids(&page), [old.id, new.id]);
    assert_eq!((page.chats[0].head, page.next), (1, None));
    assert_eq!(page.chats[1].members, [anna.id, boris.id]);
}

pub async fn pages_of_chats_go_on_where_the_last_one_ended(store: Subject) {
    let anna = user(&store, "anna").await;
    let mut all = Vec::new();
    for number in 0..7 {
        // Two at a time are equally active.
        all.push(chat(&store, &[&anna], number / 2).await.id);
    }
    all.reverse();
    let (mut seen, mut before) = (Vec::new(), None);
    for _ in 0..4 {
        let page = store.chats_of(anna.id, before, 2).await.expect("a page");
        seen.extend(ids(&page));
        before = page.next;
    }
    assert_eq!(seen, all);
    assert_eq!(before, None);
}

pub async fn a_user_in_no_chat_has_an_empty_page(store: Subject) {
    let anna = user(&store, "anna").await;
    chat(&store, &[&anna], 1).await;
    let boris = user(&store, "boris").await;
    let empty = ChatPage {
        chats: Vec::new(),
        next: None,
    };
    assert_eq!(page(&store, &boris, 10).await, empty);
    let nobody = store.chats_of(UserId::new(at(9)), None, 10).await;
    assert_eq!(nobody.expect("a page"), empty);
}

pub async fn memberships_have_every_chat_and_the_version_of_its_members(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let quiet = chat(&store, &[&anna], 1).await;
    let busy = chat(&store, &[&anna, &boris], 2).await;
    let batch = (0..3).map(|number| entry(busy.id, &boris, "hello", number));
    store.append(batch.collect()).await.expect("stored");
    let mut memberships = store.memberships_of(anna.id).await.expect("memberships");
    memberships.sort();
    assert_eq!(memberships, [(quiet.id, 0), (busy.id, 0)]);
    let left = store.remove_member(busy.id, boris.id, at(9), None).await;
    left.expect("an answer").expect("a chat");
    let mut memberships = store.memberships_of(anna.id).await.expect("memberships");
    memberships.sort();
    assert_eq!(memberships, [(quiet.id, 0), (busy.id, 1)]);
    assert_eq!(
        store
            .memberships_of(UserId::new(at(9)))
            .await
            .expect("memberships"),
        []
    );
}

pub async fn those_in_many_chats_are_notified_in_order(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let clara = user(&store, "clara").await;
    for made in 1..=3 {
        let members: &[&User] = if made < 3 {
            &[&anna, &boris]
        } else {
            &[&boris]
        };
        chat(&store, members, made).await;
    }
    let nobody = UserId::new(at(9));
    let all = [boris.id, nobody, clara.id, anna.id];
    let expected = [(1, vec![boris.id, anna.id]), (2, vec![boris.id, anna.id])];
    for (chats, many) in expected
        .into_iter()
        .chain([(3, vec![boris.id]), (4, vec![])])
    {
        let actual = store.users_in_many_chats(&all, chats).await;
        assert_eq!(actual.expect("an answer"), many, "{chats}");
    }
    // The oldest one, which Anna owns: an own one would still count.
    let page = store.chats_of(boris.id, None, 3).await.expect("a page");
    let left = page.chats.last().expect("a chat");
    let removed = store.remove_member(left.id, boris.id, at(5), None).await;
    assert!(removed.expect("an answer").expect("a chat").0);
    let actual = store.users_in_many_chats(&all, 3).await;
    assert_eq!(actual.expect("an answer"), []);
}

pub async fn marks_show_each_change_of_a_chat_but_messages(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let (one, other) = (
        chat(&store, &[&anna], 1).await,
        chat(&store, &[&boris], 2).await,
    );
    let nowhere = ChatId::new(at(9));
    let marks = async || {
        let chats = [other.id, nowhere, one.id];
        store.marks(&chats).await.expect("marks")
    };
    let of = |chat: &Chat, version, modified| {
        Some(ChatMark {
            members_version: chat.members_version + version,
            of_event: false,
            modified_at: at(modified),
        })
    };
    assert_eq!(marks().await, [of(&other, 0, 2), None, of(&one, 0, 1)]);
    let sent = store.append(vec![entry(one.id, &anna, "hello", 3)]).await;
    sent.expect("stored");
    assert_eq!(marks().await, [of(&other, 0, 2), None, of(&one, 0, 1)]);
    let added = store.add_member(one.id, boris.id, 0, at(4), None).await;
    added.expect("added");
    let change = ChatChange {
        name: Some("team".into()),
        ..ChatChange::default()
    };
    let changed = store.change_chat(other.id, change, at(5), None).await;
    changed.expect("changed");
    assert_eq!(marks().await, [of(&other, 0, 5), None, of(&one, 1, 4)]);
    store.delete_chat(one.id, None).await.expect("deleted");
    assert_eq!(marks().await, [of(&other, 0, 5), None, None]);
}

pub async fn heads_come_in_the_order_asked_for(store: Subject) {
    let anna = user(&store, "anna").await;
    let quiet = chat(&store, &[&anna], 1).await;
    let busy = chat(&store, &[&anna], 2).await;
    let batch = (0..3).map(|number| entry(busy.id, &anna, "hello", number));
    store.append(batch.collect()).await.expect("stored");
    let nowhere = ChatId::new(at(9));
    let requested = [busy.id, nowhere, quiet.id, busy.id];
    assert_eq!(store.heads(&requested).await.expect("heads"), [3, 0, 0, 3]);
    assert!(store.heads(&[]).await.expect("heads").is_empty());
}

pub async fn a_chat_is_found_by_its_pk(store: Subject) {
    let anna = user(&store, "anna").await;
    let first = chat(&store, &[&anna], 1).await;
    let found = store.chat_id(first.pk).await.expect("an answer");
    assert_eq!(found, Some(first.id));
    assert_eq!(store.chat_id(first.pk + 1).await.expect("an answer"), None);
}

pub async fn many_chats_are_found_by_their_pks(store: Subject) {
    let anna = user(&store, "anna").await;
    let (first, second) = (
        chat(&store, &[&anna], 1).await,
        chat(&store, &[&anna], 2).await,
    );
    let found = store.chat_ids(&[second.pk, 9, first.pk, second.pk]).await;
    let expected = [Some(second.id), None, Some(first.id), Some(second.id)];
    assert_eq!(found.expect("an answer"), expected);
    assert!(store.chat_ids(&[]).await.expect("an answer").is_empty());
}

pub async fn open_chats_and_own_ones_are_visible(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let open = NewChat {
        policy: Policy::Open,
        team: Some(7),
        ..new_chat(&[&boris], 1)
    };
    let open = store.create_chat(open).await.expect("a chat");
    assert_eq!((open.owner, open.team), (Some(boris.pk), Some(7)));
    let own = chat(&store, &[&anna], 2).await;
    chat(&store, &[&boris], 3).await;
    let visible = store.visible_chats(anna.id, at(0), None, 10).await;
    let visible = visible.expect("a page");
    assert_eq!((visible.chats, visible.next), (vec![own, open], None));
}

pub async fn own_chats_come_before_the_newest_others_in_pages(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let mut all = Vec::new();
    for (millisecond, policy, member) in [
        (1, Policy::Open, &anna),
        (2, Policy::Open, &boris),
        (3, Policy::Closed, &anna),
        (4, Policy::Closed, &boris),
        (5, Policy::Open, &boris),
        (6, Policy::Open, &anna),
        (7, Policy::Open, &boris),
    ] {
        let new = NewChat {
            policy,
            ..new_chat(&[member], millisecond)
        };
        all.push(store.create_chat(new).await.expect("a chat").pk);
    }
    let own = [all[5], all[2], all[0]];
    let others = [all[6], all[4], all[1]];
    let expected = [own, others].concat();
    for limit in 1..=7 {
        let (mut seen, mut before) = (Vec::new(), None);
        for _ in 0..=expected.len() / limit {
            let page = store.visible_chats(anna.id, at(0), before, limit).await;
            let page = page.expect("a page");
            assert!(page.chats.len() <= limit);
            seen.extend(page.chats.iter().map(|chat| chat.pk));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!((&seen, before), (&expected, None), "by {limit}");
    }
    let nobody = store
        .visible_chats(UserId::new(at(9)), at(0), None, 2)
        .await;
    let nobody = nobody.expect("a page").chats;
    assert_eq!(
        nobody.iter().map(|chat| chat.pk).collect::<Vec<_>>(),
        [all[6], all[5]]
    );
}

pub async fn a_change_keeps_what_it_does_not_name_and_moves_the_times(store: Subject) {
    let anna = user(&store, "anna").await;
    let before = chat(&store, &[&anna], 5).await;
    let change = |name: Option<&str>, team| ChatChange {
        policy: None,
        name: name.map(str::to_owned),
        team,
    };
    let steps = [
        (change(Some("new"), None), 6, "new", None, 6),
        (change(None, Some(Some(3))), 4, "new", Some(3), 6),
        (change(None, Some(None)), 9, "new", None, 9),
    ];
    for (change, now, name, team, moved) in steps {
        let changed = store.change_chat(before.id, change, at(now), None).await;
        let changed = changed.expect("an answer").expect("a chat");
        assert_eq!((changed.name.as_deref(), changed.team), (Some(name), team));
        assert_eq!(
            (changed.modified_at, changed.active_at),
            (at(moved), at(moved))
        );
        assert_eq!(changed.members, before.members);
    }
    let nowhere = store
        .change_chat(ChatId::new(at(9)), change(None, None), at(9), None)
        .await;
    assert_eq!(nowhere.expect("an answer"), None);
}

pub async fn a_deleted_chat_is_gone_with_everything_in_it(store: Subject) {
    let anna = user(&store, "anna").await;
    let (gone, kept) = (
        chat(&store, &[&anna], 1).await,
        chat(&store, &[&anna], 2).await,
    );
    let batch = [gone.id, kept.id].map(|chat| entry(chat, &anna, "hello", 3));
    store.append(batch.to_vec()).await.expect("stored");
    assert!(store.delete_chat(gone.id, None).await.expect("an answer"));
    assert!(!store.delete_chat(gone.id, None).await.expect("an answer"));
    assert_eq!(store.chat(gone.id).await.expect("an answer"), None);
    assert_eq!(ids(&page(&store, &anna, 10).await), [kept.id]);
    let history = History {
        range: Range::default(),
        window: Window::First(10),
    };
    let messages = store.messages(gone.id, history).await.expect("a page");
    assert!(messages.messages.is_empty());
    // Its number is not given out again.
    assert_eq!(chat(&store, &[&anna], 4).await.pk, 3);
}

pub async fn all_chats_come_in_pages_by_their_numbers(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let first = chat(&store, &[&anna], 3).await;
    let second = chat(&store, &[&boris, &anna], 2).await;
    let third = chat(&store, &[], 1).await;
    let page = store.chats_after(0, 2).await.expect("chats");
    assert_eq!(page, [first, second.clone()]);
    let page = store.chats_after(second.pk, 2).await.expect("chats");
    assert_eq!(page, [third]);
}
