//! Removals that overtake a read of the store, in every order: the removed user receives nothing,
//! and no member is left out.

use super::*;

/// What happens to Boris's membership while the store is being read for a connection of his.
fn left(hub: &Hub, chat: ChatId, boris: UserId, to: MembersVersion) {
    let left = version(chat, boris, 0, to);
    hub.member_left(&left, &notice(Fact::MemberLeft(Arc::clone(&left))));
}

fn joined(hub: &Hub, chat: ChatId, boris: UserId, to: MembersVersion) {
    let joined = version(chat, boris, 0, to);
    hub.member_joined(&joined, &notice(Fact::MemberJoined(Arc::clone(&joined))));
}

/// A connection of this user that is in no chat.
fn bound(hub: &Hub, user: UserId) -> Arc<Subscription> {
    let connection = connection(100);
    hub.bind_user(&connection, user);
    connection
}

/// The chat as it was read with these members.
fn read(chat: ChatId, members: &[UserId], members_version: MembersVersion) -> Chat {
    Chat {
        id: chat,
        members: members.to_vec(),
        members_version,
        ..Chat::example()
    }
}

#[test]
fn a_removal_that_overtakes_a_subscription_prevents_it() {
    for room_exists in [false, true] {
        let (hub, chat, boris) = (Hub::default(), ChatId::new(NOW), user());
        let _annas = room_exists.then(|| subscribed(&hub, user(), chat, 0));
        let boriss = bound(&hub, boris);
        let entering = boriss.entering();
        left(&hub, chat, boris, 5);
        assert_eq!(hub.subscribe(&entering, [(chat, 4)]), []);
        assert!(!boriss.is_in(chat));
        // The read knew of it: the user is a member again.
        hub.subscribe(&entering, [(chat, 6)]);
        assert!(boriss.is_in(chat));
    }
}

#[test]
fn a_removal_after_the_subscription_ends_it() {
    let (hub, chat, boris) = (Hub::default(), ChatId::new(NOW), user());
    let boriss = bound(&hub, boris);
    let entering = boriss.entering();
    hub.subscribe(&entering, [(chat, 4)]);
    hub.open(chat, 0);
    left(&hub, chat, boris, 5);
    deliver(&hub, chat, [1]);
    assert!(received(&boriss).is_empty());
    assert!(hub.room(chat).is_none());
}

#[test]
fn a_removal_before_the_user_came_back_changes_nothing() {
    let (hub, chat, boris) = (Hub::default(), ChatId::new(NOW), user());
    let boriss = bound(&hub, boris);
    joined(&hub, chat, boris, 7);
    left(&hub, chat, boris, 6);
    deliver(&hub, chat, [1]);
    assert_eq!(received(&boriss), ["joined", "left", "1"]);
}

/// Boris becomes a member when the latest message is `head`.
fn joined_at(hub: &Hub, chat: ChatId, boris: UserId, head: Seq) {
    let joined = membership(chat, boris, head);
    hub.member_joined(&joined, &notice(Fact::MemberJoined(Arc::clone(&joined))));
}

#[test]
fn a_member_whose_join_was_overtaken_receives_the_messages_since_then() {
    let (hub, chat) = (Hub::default(), ChatId::new(NOW));
    let (boris, clara) = (user(), user());
    let annas = subscribed(&hub, user(), chat, 4);
    let (boriss, claras) = (bound(&hub, boris), bound(&hub, clara));
    deliver(&hub, chat, 5..=8);
    joined_at(&hub, chat, boris, 6);
    assert_eq!(
        (hub.take_behind(), hub.next_after(chat)),
        (vec![chat], Some(6))
    );
    deliver(&hub, chat, [7]);
    joined_at(&hub, chat, clara, 5);
    // A connection that is made meanwhile requests what it missed, up to the latest message.
    let doras = subscribed(&hub, user(), chat, 8);
    deliver(&hub, chat, 6..=7);
    deliver(&hub, chat, [9]);
    assert_eq!(received(&doras), [""; 0]);
    deliver(&hub, chat, 8..=9);
    let notices = ["joined", "joined"];
    assert_eq!(
        received(&annas),
        [&["5", "6", "7", "8"][..], &notices, &["9"]].concat()
    );
    assert_eq!(received(&boriss), ["joined", "7", "joined", "8", "9"]);
    assert_eq!(received(&claras), ["joined", "6", "7", "8", "9"]);
    assert_eq!(received(&doras), ["9"]);
}

#[test]
fn a_connection_that_has_left_misses_nothing_of_the_time_before() {
    let (hub, chat, boris) = (Hub::default(), ChatId::new(NOW), user());
    let boriss = bound(&hub, boris);
    let _annas = subscribed(&hub, user(), chat, 3);
    joined_at(&hub, chat, boris, 1);
    // It acts as another member, who requests what it missed, up to the latest message.
    hub.bind_user(&boriss, user());
    assert!(!hub.join(&boriss, [chat]));
    deliver(&hub, chat, 2..=4);
    assert_eq!(received(&boriss), ["joined", "4"]);
}

#[test]
fn a_member_whose_join_was_overtaken_by_the_opening_of_its_room_misses_nothing() {
    let (hub, chat, boris) = (Hub::default(), ChatId::new(NOW), user());
    let boriss = bound(&hub, boris);
    let annas = subscribed(&hub, user(), chat, 3);
    joined_at(&hub, chat, boris, 1);
    deliver(&hub, chat, 2..=4);
    assert_eq!(received(&boriss), ["joined", "2", "3", "4"]);
    assert_eq!(received(&annas), ["joined", "4"]);
}

#[test]
fn removals_are_kept_only_while_the_store_is_read_and_only_of_this_user() {
    let (hub, chat, boris) = (Hub::default(), ChatId::new(NOW), user());
    let boriss = bound(&hub, boris);
    let (first, second) = (boriss.entering(), boriss.entering());
    left(&hub, chat, boris, 5);
    drop(first);
    hub.subscribe(&second, [(chat, 4)]);
    assert!(!boriss.is_in(chat), "one read is still under way");
    // Another user on the same connection was not removed.
    hub.bind_user(&boriss, user());
    hub.subscribe(&second, [(chat, 4)]);
    assert!(boriss.is_in(chat));
}

#[test]
fn a_removal_that_overtakes_a_watch_of_a_closed_chat_prevents_it() {
    let (hub, chat, boris) = (Hub::default(), ChatId::new(NOW), user());
    let boriss = bound(&hub, boris);
    let entering = boriss.entering();
    left(&hub, chat, boris, 5);
    let closed = read(chat, &[boris], 4);
    assert!(entering.has_lost(&closed));
    hub.watch(&entering, &closed);
    let open = Chat {
        policy: Policy::Open,
        ..read(chat, &[boris], 4)
    };
    assert!(!entering.has_lost(&open));
    hub.chat_deleted(chat, &notice(Fact::ChatDeleted { chat, pk: 1 }));
    assert!(received(&boriss).is_empty());
    hub.watch(&entering, &open);
    hub.chat_deleted(chat, &notice(Fact::ChatDeleted { chat, pk: 1 }));
    assert_eq!(received(&boriss), ["deleted"]);
}

#[test]
fn a_room_is_reconciled_only_with_later_members() {
    let (hub, chat, anna, boris) = (Hub::default(), ChatId::new(NOW), user(), user());
    let annas = subscribed(&hub, anna, chat, 0);
    let boriss = subscribed(&hub, boris, chat, 0);
    assert!(hub.has_seen_members(chat, 0) && !hub.has_seen_members(chat, 1));
    hub.reconcile(&read(chat, &[], 0));
    assert!(annas.is_in(chat) && boriss.is_in(chat));
    hub.reconcile(&read(chat, &[anna], 1));
    assert!(hub.has_seen_members(chat, 1));
    deliver(&hub, chat, [1]);
    assert_eq!(received(&annas), ["1"]);
    assert!(received(&boriss).is_empty() && !boriss.is_in(chat));
    // The notice that the read of the store has overtaken.
    left(&hub, chat, boris, 1);
    assert_eq!(received(&annas), ["left"]);
}

#[test]
fn notices_that_a_read_of_the_store_has_overtaken_change_no_subscription() {
    let (hub, chat, anna, boris) = (Hub::default(), ChatId::new(NOW), user(), user());
    let annas = subscribed(&hub, anna, chat, 0);
    let (boriss, entering) = (bound(&hub, boris), bound(&hub, boris));
    // Boris joined (1), was removed (2), and Anna left and came back (3, 4).
    hub.reconcile(&read(chat, &[anna], 4));
    hub.subscribe(&entering.entering(), [(chat, 1)]);
    joined(&hub, chat, boris, 1);
    assert!(!boriss.is_in(chat) && !entering.is_in(chat));
    left(&hub, chat, boris, 2);
    left(&hub, chat, anna, 3);
    assert!(annas.is_in(chat));
    joined(&hub, chat, anna, 4);
    deliver(&hub, chat, [1]);
    assert_eq!(
        received(&annas),
        ["joined", "left", "left", "joined", "1"],
        "every member is notified"
    );
    let boris_joined = version(chat, boris, 1, 5);
    let joined = Fact::MemberJoined(Arc::clone(&boris_joined));
    hub.member_joined(&boris_joined, &notice(joined));
    deliver(&hub, chat, [2]);
    assert_eq!(received(&boriss), ["joined", "2"]);
}

#[test]
fn a_room_that_is_reconciled_is_not_watched_by_former_members() {
    let (hub, chat, anna, boris) = (Hub::default(), ChatId::new(NOW), user(), user());
    let _annas = subscribed(&hub, anna, chat, 0);
    let (boriss, services) = (bound(&hub, boris), bound(&hub, user()));
    let before = read(chat, &[anna, boris], 0);
    hub.watch(&boriss.entering(), &before);
    hub.watch(&services.entering(), &before);
    hub.reconcile(&read(chat, &[anna], 1));
    hub.chat_deleted(chat, &notice(Fact::ChatDeleted { chat, pk: 1 }));
    assert!(received(&boriss).is_empty());
    assert_eq!(received(&services), ["deleted"]);
}

#[test]
fn an_open_chat_that_is_closed_is_watched_by_members_and_services_only() {
    let (hub, chat, anna) = (Hub::default(), ChatId::new(NOW), user());
    let _annas = subscribed(&hub, anna, chat, 0);
    let open = |version| Chat {
        policy: Policy::Open,
        ..read(chat, &[anna], version)
    };
    let (members, strangers, services) =
        (bound(&hub, anna), bound(&hub, user()), bound(&hub, user()));
    hub.watch(&members.entering(), &open(1));
    hub.watch(&strangers.entering(), &open(1));
    hub.watch_as_service(&services.entering(), &open(1));
    hub.members_confirmed(&open(1));
    assert!(strangers.is_there(chat));
    hub.members_confirmed(&read(chat, &[anna], 2));
    assert!(!strangers.is_there(chat) && services.is_there(chat) && members.is_there(chat));
    // One that has read the chat before it was closed is compared with the store.
    let late = bound(&hub, user());
    hub.watch(&late.entering(), &open(1));
    assert!(!hub.has_seen_members(chat, 2));
    hub.reconcile(&read(chat, &[anna], 2));
    assert!(!late.is_there(chat));
}
