//! The payer of each request, and the counts of each connection.
//! Does not know how fast: `rates_tests` does.

use super::*;
use crate::model::{ChatId, ChatRef, Clock, Draft};

fn settings(messages: Option<&str>) -> LimitSettings {
    LimitSettings {
        messages: messages.map(|rate| rate.parse().expect("a rate")),
        frames: None,
        connections_per_user: Some(1),
        connections_per_address: Some(1),
        unauthenticated: Some(3),
        handshake: Duration::from_secs(10),
        proxies: Proxies(vec!["10.0.0.0/8".parse().expect("a range")]),
    }
}

fn limits(messages: Option<&str>) -> Limits {
    Limits::new(settings(messages))
}

fn user() -> UserId {
    UserId::new(Clock::system().now())
}

fn send(user: Option<UserId>) -> Command {
    Command::SendMessage {
        user,
        chat: ChatRef::Id(ChatId::new(Clock::system().now())),
        draft: Draft::text("hello"),
    }
}

fn caller(user: Option<UserId>, rights: Rights) -> Identity {
    Identity {
        user,
        rights,
        connection: None,
        request: None,
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn a_user_pays_for_itself_whomever_it_names() {
    let (anna, boris) = (user(), user());
    let limits = limits(Some("1:1"));
    let anna = caller(Some(anna), Rights::Own);
    assert!(limits.message(&anna, &send(Some(boris)), None).is_ok());
    assert!(limits.message(&anna, &send(Some(boris)), None).is_err());
    let boris = caller(Some(boris), Rights::Own);
    assert!(limits.message(&boris, &send(None), None).is_ok());
}

#[test]
fn in_open_mode_the_one_who_is_sent_for_pays() {
    let (anna, boris) = (user(), user());
    let limits = limits(Some("1:1"));
    let nobody = caller(None, Rights::Open);
    for user in [anna, boris] {
        assert!(limits.message(&nobody, &send(Some(user)), None).is_ok());
        assert!(limits.message(&nobody, &send(Some(user)), None).is_err());
    }
    let anna = caller(Some(anna), Rights::Open);
    assert!(limits.message(&anna, &send(None), None).is_err());
}

#[test]
fn a_service_sends_at_its_own_pace_and_only_sending_counts() {
    let anna = user();
    let limits = limits(Some("1:1"));
    let gauges = limits.gauges();
    let service = caller(Some(anna), Rights::Service);
    let own = caller(Some(anna), Rights::Own);
    for _ in 0..100 {
        assert!(limits.message(&service, &send(None), Some(&gauges)).is_ok());
        assert!(
            limits
                .message(
                    &own,
                    &Command::ListRooms {
                        limit: None,
                        before: None
                    },
                    Some(&gauges)
                )
                .is_ok()
        );
    }
    assert!(limits.message(&own, &send(None), Some(&gauges)).is_ok());
}

#[test]
fn work_is_charged_to_users_and_not_to_services() {
    let limits = Limits::new(LimitSettings {
        frames: Some("1:10".parse().expect("a rate")),
        ..settings(None)
    });
    let (anna, boris) = (user(), user());
    for (user, rights, frames) in [(anna, Rights::Own, 8), (boris, Rights::Service, 10)] {
        let (caller, payer) = (caller(Some(user), rights), Some(Payer::User(user)));
        limits.charge(&caller, payer, None, 99);
        limits.charge(&caller, payer, None, 10_000);
        let passed = (0..20).filter(|_| limits.frame(payer, None).is_ok());
        assert_eq!(passed.count(), frames, "{rights:?}");
    }
}

#[test]
fn what_is_off_is_not_limited() {
    let limits = limits(None);
    let gauges = limits.gauges();
    let anna = caller(Some(user()), Rights::Own);
    for _ in 0..1000 {
        assert!(limits.message(&anna, &send(None), Some(&gauges)).is_ok());
        let payer = anna.user.map(Payer::User);
        limits.charge(&anna, payer, Some(&gauges), 1_000_000);
        assert!(limits.frame(payer, Some(&gauges)).is_ok());
    }
}

#[test]
fn a_place_is_free_again_when_its_connection_has_gone() {
    let limits = limits(None);
    let anna = user();
    let first = limits.connection_of(anna).expect("a place");
    let refused = limits.connection_of(anna).expect_err("taken");
    assert_eq!(refused.kind, ErrorKind::RateLimited);
    assert!(limits.connection_of(user()).is_ok());
    drop(first);
    assert!(limits.connection_of(anna).is_ok());
}

#[test]
fn loopback_addresses_and_proxies_are_not_counted_by_address() {
    let limits = limits(None);
    for peer in ["127.0.0.1", "10.1.1.1", "::1"] {
        let both = [
            limits.connection(address(peer)),
            limits.connection(address(peer)),
        ];
        assert!(both.iter().all(Result::is_ok), "{peer}");
    }
    let first = limits.connection(address("192.0.2.1")).expect("a place");
    assert!(limits.connection(address("::ffff:192.0.2.1")).is_err());
    drop(first);
    assert!(limits.connection(address("192.0.2.1")).is_ok());
}

#[test]
fn only_so_many_may_be_unknown_at_once() {
    let limits = limits(None);
    let mut entries: Vec<_> = (0..3)
        .map(|_| limits.connection(address("::1")).expect("a place"))
        .collect();
    assert!(limits.connection(address("::1")).is_err());
    entries[0].unauthenticated = None;
    assert!(limits.connection(address("::1")).is_ok());
}

#[test]
fn ipv6_addresses_of_one_network_are_counted_together() {
    let limits = limits(None);
    let _first = limits.connection(address("2001:db8::1")).expect("a place");
    assert!(limits.connection(address("2001:db8::ffff:2")).is_err());
    assert!(limits.connection(address("2001:db8:0:1::1")).is_ok());
}

#[test]
fn clients_are_counted_beside_connections() {
    let limits = limits(None);
    let _connection = limits.connection(address("192.0.2.1")).expect("a place");
    let client = limits.client(address("192.0.2.1")).expect("a place");
    assert!(limits.session(address("192.0.2.1")).is_err());
    drop(client);
    let _session = limits.session(address("192.0.2.1")).expect("a place");
    assert!(limits.client(address("192.0.2.1")).is_err());
    let mut unauthenticated: Vec<_> = (0..2)
        .map(|_| limits.session(address("::1")).expect("a place"))
        .collect();
    assert!(limits.session(address("::1")).is_err());
    unauthenticated[0].unauthenticated = None;
    assert!(limits.session(address("::1")).is_ok());
}
