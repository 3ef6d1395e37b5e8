//! What the hub promises when a user is banned, and when its tokens are revoked.

use super::*;
use crate::model::{Issue, Sanction, SanctionChange};

fn ban(chat: ChatId, user: UserId, version: MembersVersion) -> SanctionChange {
    SanctionChange {
        chat,
        user: Arc::new(somebody(user)),
        sanction: Some(Sanction { until: None }),
        left: None,
        to_user: true,
        version,
    }
}

fn open_chat(id: ChatId, members_version: MembersVersion) -> Chat {
    Chat {
        id,
        policy: Policy::Open,
        members_version,
        ..Chat::example()
    }
}

fn banned(hub: &Hub, change: SanctionChange) {
    let change = Arc::new(change);
    hub.user_banned(&change, &notice(Fact::Banned(Arc::clone(&change))));
}

fn deleted(hub: &Hub, chat: ChatId) {
    hub.chat_deleted(chat, &notice(Fact::ChatDeleted { chat, pk: 1 }));
}

#[test]
fn a_banned_user_stops_watching_an_open_chat() {
    let (hub, chat, boris) = (Hub::default(), ChatId::new(NOW), user());
    let annas = subscribed(&hub, user(), chat, 0);
    let boriss = subscribed(&hub, boris, ChatId::new(NOW), 0);
    hub.watch(&boriss.entering(), &open_chat(chat, 3));
    banned(&hub, ban(chat, boris, 4));
    deleted(&hub, chat);
    assert_eq!(received(&annas), ["banned", "deleted"]);
    assert_eq!(received(&boriss), ["banned"], "of the end of it alone");
}

#[test]
fn a_banned_member_is_notified_of_the_ban_and_of_nothing_else() {
    let (hub, chat, boris) = (Hub::default(), ChatId::new(NOW), user());
    let annas = subscribed(&hub, user(), chat, 0);
    let boriss = subscribed(&hub, boris, chat, 0);
    hub.watch(&boriss.entering(), &open_chat(chat, 0));
    let left = Membership {
        policy: Policy::Open,
        ..(*version(chat, boris, 0, 4)).clone()
    };
    let change = SanctionChange {
        left: Some(Arc::new(left)),
        ..ban(chat, boris, 4)
    };
    banned(&hub, change);
    deliver(&hub, chat, [1]);
    deleted(&hub, chat);
    assert_eq!(received(&annas), ["left", "banned", "1", "deleted"]);
    assert_eq!(received(&boriss), ["banned"]);
}

#[test]
fn a_chat_that_was_read_before_the_ban_is_not_watched() {
    let (hub, chat, boris) = (Hub::default(), ChatId::new(NOW), user());
    let _annas = subscribed(&hub, user(), chat, 0);
    let boriss = subscribed(&hub, boris, ChatId::new(NOW), 0);
    let entering = boriss.entering();
    banned(&hub, ban(chat, boris, 4));
    hub.watch(&entering, &open_chat(chat, 3));
    deleted(&hub, chat);
    assert_eq!(received(&boriss), ["banned"]);
}

#[test]
fn a_reconciled_room_still_loses_a_banned_watcher() {
    let (hub, chat, boris) = (Hub::default(), ChatId::new(NOW), user());
    let _annas = subscribed(&hub, user(), chat, 0);
    let boriss = subscribed(&hub, boris, ChatId::new(NOW), 0);
    hub.watch(&boriss.entering(), &open_chat(chat, 3));
    // The chat as it was after the ban is read before its notice comes.
    hub.reconcile(&open_chat(chat, 4));
    banned(&hub, ban(chat, boris, 4));
    deleted(&hub, chat);
    assert_eq!(received(&boriss), ["banned"]);
}

#[test]
fn a_ban_from_a_hidden_chat_does_not_reveal_it() {
    let (hub, chat, boris) = (Hub::default(), ChatId::new(NOW), user());
    let annas = subscribed(&hub, user(), chat, 0);
    let boriss = subscribed(&hub, boris, ChatId::new(NOW), 0);
    let hidden = SanctionChange {
        to_user: false,
        ..ban(chat, boris, 4)
    };
    banned(&hub, hidden);
    assert_eq!(received(&annas), ["banned"]);
    assert!(received(&boriss).is_empty());
}

#[test]
fn a_lifted_ban_ends_nothing() {
    let (hub, chat, boris) = (Hub::default(), ChatId::new(NOW), user());
    let boriss = subscribed(&hub, boris, ChatId::new(NOW), 0);
    hub.watch(&boriss.entering(), &open_chat(chat, 3));
    let lifted = SanctionChange {
        sanction: None,
        ..ban(chat, boris, 4)
    };
    banned(&hub, lifted);
    deleted(&hub, chat);
    assert_eq!(received(&boriss), ["banned", "deleted"]);
}

#[test]
fn a_changed_role_is_a_version_that_was_seen() {
    let (hub, chat) = (Hub::default(), ChatId::new(NOW));
    let annas = subscribed(&hub, user(), chat, 0);
    let change = Arc::new(ban(chat, user(), 1));
    hub.rights_changed(chat, 1, &notice(Fact::Muted(change)));
    assert!(hub.has_seen_members(chat, 1));
    assert_eq!(received(&annas), ["muted"]);
}

#[test]
fn a_notice_that_overtakes_one_of_another_node_lets_the_members_be_compared() {
    let (hub, chat) = (Hub::default(), ChatId::new(NOW));
    let annas = subscribed(&hub, user(), chat, 0);
    hub.open(chat, 0);
    let changed = |version| {
        let change = Arc::new(ban(chat, user(), version));
        hub.rights_changed(chat, version, &notice(Fact::Muted(change)));
    };
    changed(2);
    assert!(!hub.has_seen_members(chat, 2), "the first one is missing");
    assert_eq!(hub.take_behind(), [chat]);
    changed(1);
    assert!(!hub.has_seen_members(chat, 2), "until the store was read");
    assert_eq!(received(&annas), ["muted", "muted"]);
}

/// A connection that acts as `user`, with a token of `owner`.
fn with_token(hub: &Hub, user: UserId, owner: UserId, at: Option<i64>) -> Arc<Subscription> {
    let limits = OutboxLimits {
        frames: 10,
        bytes: 1 << 20,
    };
    let at = at.map(|second| Timestamp::from_second(second).expect("a time"));
    let id = ConnectionId::new(NOW);
    let connection = Subscription::new(id, Arc::new(Numbers), Outbox::new(limits));
    let connection = Arc::new(connection.with_issue(Some(Issue { user: owner, at })));
    hub.bind_user(&connection, user);
    connection
}

#[test]
fn connections_with_revoked_tokens_end_and_no_others() {
    let (hub, anna, boris) = (Hub::default(), user(), user());
    let before = Timestamp::from_second(5).expect("a time");
    let ended = [
        with_token(&hub, anna, anna, Some(4)),
        with_token(&hub, anna, anna, None),
        // It acts as another user.
        with_token(&hub, boris, anna, Some(4)),
    ];
    let kept = [
        with_token(&hub, anna, anna, Some(5)),
        with_token(&hub, anna, boris, Some(4)),
        subscribed(&hub, anna, ChatId::new(NOW), 0),
    ];
    hub.tokens_revoked(anna, before);
    for connection in &ended {
        assert_eq!(connection.outbox.closed(), Some(CloseReason::Expired));
    }
    for connection in &kept {
        assert_eq!(connection.outbox.closed(), None);
    }
}
