//! What a store holds of users and chats, comparable.
//! Does not know rights: `sanctions` does.

use super::{StoredIds, comparable};
use crate::model::{History, Range, Window};
use crate::store::Store;
use crate::store::contract::at;

/// The lists of each user.
pub(super) async fn chats_of_users(store: &dyn Store, ids: &StoredIds) -> Vec<String> {
    let mut all = Vec::new();
    for user in &ids.users {
        let memberships = store.memberships_of(*user).await;
        let page = store.chats_of(*user, None, 2).await;
        let before = page.as_ref().ok().and_then(|page| page.next);
        let visible = store.visible_chats(*user, at(30), None, 2).await;
        let next = visible.as_ref().ok().and_then(|page| page.next);
        all.extend([
            comparable(memberships.map(|mut memberships| {
                memberships.sort_unstable();
                memberships
            })),
            comparable(page),
            comparable(store.chats_of(*user, before, 9).await),
            comparable(visible),
            comparable(store.visible_chats(*user, at(30), next, 2).await),
            comparable(store.events_after(Some(*user), 1, 9).await),
            comparable(store.event_chats_of(*user, 2).await),
        ]);
    }
    all
}

/// Parts of the history of each chat.
pub(super) async fn histories(store: &dyn Store, ids: &StoredIds) -> Vec<String> {
    let mut all = Vec::new();
    let ranges = [
        (Range::default(), Window::First(3)),
        (Range::default(), Window::Last(3)),
        (
            Range {
                after: Some(1),
                before: Some(5),
                ..Range::default()
            },
            Window::Last(2),
        ),
        (
            Range {
                from: Some(at(10)),
                to: Some(at(40)),
                ..Range::default()
            },
            Window::Last(9),
        ),
    ];
    for chat in &ids.chats {
        for (range, window) in ranges {
            let history = History { range, window };
            all.push(comparable(store.messages(*chat, history).await));
        }
        all.push(comparable(store.event_chat(*chat).await));
        all.push(comparable(store.reads(*chat).await));
    }
    all
}
