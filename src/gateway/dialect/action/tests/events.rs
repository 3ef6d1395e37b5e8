//! The receivers and the frames of each notice.

use super::*;

const LISTEN: &str = "subscribe_to_messages_in_room";

fn wrapped(client: &Client, stream: &str, action: &str, pk: ChatPk) {
    let payload = json!({"action": action, "pk": pk, "request_id": stream});
    client.answer(&json!({"stream": stream, "payload": payload}));
}

fn watch(client: &Client, pk: ChatPk, id: &Value) {
    let response =
        client.answer(&json!({"action": "subscribe_instance", "pk": pk, "request_id": id}));
    assert_eq!(response["response_status"], 201);
    assert_eq!(response["data"], Value::Null);
}

fn unwatch(client: &Client, request: &Value) {
    let response = client.answer(request);
    assert_eq!(response["action"], "unsubscribe_instance");
    assert_eq!(response["response_status"], 204);
    assert_eq!(response["data"], Value::Null);
}

fn message_sent(origin: ConnectionId, pk: ChatPk) -> Notice {
    notice(origin, Fact::MessageSent(Arc::new(sent(pk, "Hi"))))
}

fn joined(origin: ConnectionId, pk: ChatPk) -> Notice {
    let members = vec![owner(), guest()];
    notice(origin, Fact::MembersListed(listed(pk, members)))
}

fn changed(pk: ChatPk) -> Notice {
    notice(OTHER, Fact::ChatChanged(Arc::new(room(pk))))
}

fn deleted(pk: ChatPk) -> Notice {
    let chat = chat_id(pk);
    notice(OTHER, Fact::ChatDeleted { chat, pk })
}

fn request_ids(frames: &[String]) -> Vec<Value> {
    let id = |frame: &String| {
        let frame: Value = serde_json::from_str(frame).expect("JSON");
        frame["request_id"].clone()
    };
    frames.iter().map(id).collect()
}

#[test]
fn a_message_is_sent_once_to_a_subscriber_of_its_room() {
    let client = Client::new();
    assert!(client.delivered(&message_sent(OTHER, 4)).is_empty());
    client.quietly("join_room", 4);
    watch(&client, 4, &json!(1));
    assert!(client.delivered(&message_sent(OTHER, 4)).is_empty());
    client.quietly(LISTEN, 4);
    client.silent(&json!({"action": LISTEN, "pk": "4", "request_id": 2}));
    let event = r#"{"data":{"id":22,"user":{"id":29,"username":"string","avatar":"/media/default/default.jpg","github":""},"text":"Hi","create_date":"2021-12-08T19:34:41.242824+03:00","room":4},"action":"create","pk":22}"#;
    assert_eq!(client.delivered(&message_sent(OTHER, 4)), [event]);
    assert_eq!(client.delivered(&message_sent(OWN, 4)), [event]);
    assert!(client.delivered(&message_sent(OTHER, 7)).is_empty());
    client.quietly("leave_room", 4);
    assert_eq!(client.delivered(&message_sent(OTHER, 4)), [event]);
}

#[test]
fn a_message_is_encoded_once() {
    let (one, two, enveloped) = (Client::new(), Client::new(), Client::new());
    one.quietly(LISTEN, 4);
    two.quietly(LISTEN, 4);
    wrapped(&enveloped, "s", LISTEN, 4);
    let mut encoded = SharedEncoding::default();
    let delivered = one.delivered_with(&message_sent(OWN, 4), &mut encoded);
    // Another message, to see that the first one's text is used.
    let other = notice(OWN, Fact::MessageSent(Arc::new(sent(4, "other"))));
    assert_eq!(two.delivered_with(&other, &mut encoded), delivered);
    let around = format!(r#"{{"stream":"s","payload":{}}}"#, delivered[0]);
    let delivered = enveloped.delivered_with(&other, &mut encoded);
    assert_eq!(delivered, [&*around]);
    assert_eq!(enveloped.delivered(&message_sent(OWN, 4)), [around]);
}

#[test]
fn the_members_are_sent_to_those_who_joined_or_subscribed() {
    let user = |id: u8, name: &str| {
        format!(
            r#"{{"id":{id},"username":"{name}","avatar":"/media/default/default.jpg","github":""}}"#
        )
    };
    let event = format!(
        r#"{{"join_user":[{},{}]}}"#,
        user(29, "string"),
        user(47, "djwoms1")
    );
    let stranger = Client::new();
    assert!(stranger.delivered(&joined(OTHER, 4)).is_empty());
    for action in ["join_room", LISTEN, "subscribe_instance"] {
        let client = Client::new();
        client.send(&json!({"action": action, "pk": 4, "request_id": 1}).to_string());
        assert_eq!(client.delivered(&joined(OTHER, 4)), [&*event], "{action}");
        assert!(
            client.delivered(&joined(OWN, 4)).is_empty(),
            "its own request"
        );
        assert!(client.delivered(&joined(OTHER, 7)).is_empty());
    }
    let both = Client::new();
    both.quietly("join_room", 4).quietly(LISTEN, 4);
    watch(&both, 4, &json!(1));
    assert_eq!(both.delivered(&joined(OTHER, 4)).len(), 1);
    let left = notice(OTHER, Fact::MembersListed(listed(4, vec![])));
    assert_eq!(both.delivered(&left), [r#"{"join_user":[]}"#]);
}

#[test]
fn a_member_that_left_without_subscriptions_receives_nothing() {
    let client = Client::new();
    client.quietly("join_room", 4).quietly("leave_room", 4);
    assert!(client.delivered(&joined(OTHER, 4)).is_empty());
    client.quietly("leave_room", 7);
}

#[test]
fn a_change_is_sent_once_for_every_request_id() {
    let client = Client::new();
    assert!(client.delivered(&changed(4)).is_empty());
    for id in [json!(1), json!("1"), json!(1), json!(null)] {
        watch(&client, 4, &id);
    }
    watch(&client, 7, &json!(1));
    let delivered = client.delivered(&changed(4));
    assert_eq!(request_ids(&delivered), [json!(1), json!("1"), json!(null)]);
    let frame: Value = serde_json::from_str(&delivered[0]).expect("JSON");
    let retrieve = json!({"action": "retrieve", "pk": 4});
    let retrieved = client.encoded(&retrieve, Reply::Room(room(4)));
    assert_eq!(frame["data"], retrieved["data"]);
    assert!(delivered[0].starts_with(r#"{"errors":[],"data":{"pk":4,"name":"Python","user":29,"#));
    let end = r#""action":"update","response_status":200,"request_id":1}"#;
    assert!(delivered[0].ends_with(end));
}

#[test]
fn cancelling_one_request_id_leaves_the_others() {
    let client = Client::new();
    let cancel = |pk: ChatPk, id: Value| {
        let request = json!({"action": "unsubscribe_instance", "pk": pk, "request_id": id});
        unwatch(&client, &request);
    };
    for id in [json!(1), json!("1"), json!(2)] {
        watch(&client, 4, &id);
        watch(&client, 7, &id);
    }
    cancel(4, json!("1"));
    cancel(4, json!("unknown"));
    assert_eq!(
        request_ids(&client.delivered(&changed(4))),
        [json!(1), json!(2)]
    );
    assert_eq!(client.delivered(&changed(7)).len(), 3, "another room");
    unwatch(&client, &json!({"action": "unsubscribe_instance", "pk": 4}));
    assert!(client.delivered(&changed(4)).is_empty());
    assert_eq!(client.delivered(&changed(7)).len(), 3);
}

#[test]
fn the_end_of_a_room_is_sent_and_then_it_is_forgotten() {
    let client = Client::new();
    client.quietly("join_room", 4).quietly(LISTEN, 4);
    watch(&client, 4, &json!(1));
    watch(&client, 4, &json!(2));
    let end = |id: u8| {
        format!(
            r#"{{"errors":[],"data":{{"pk":4}},"action":"delete","response_status":204,"request_id":{id}}}"#
        )
    };
    assert_eq!(client.delivered(&deleted(4)), [end(1), end(2)]);
    assert!(client.delivered(&deleted(4)).is_empty());
    assert!(client.delivered(&message_sent(OTHER, 4)).is_empty());
    let response = client.answer(&json!({"action": "create_message", "message": "a"}));
    assert_eq!(response["response_status"], 400, "no current room");
}

#[test]
fn a_new_room_is_not_sent() {
    let client = Client::new();
    let created = notice(OTHER, Fact::ChatCreated(room(4).chat));
    assert!(client.delivered(&created).is_empty());
}

#[test]
fn events_are_wrapped_as_what_they_are_due_to() {
    let client = Client::new();
    let stream = |notice: &Notice| {
        let delivered = client.delivered(notice);
        let streams = delivered.iter().map(|frame| {
            let frame: Value = serde_json::from_str(frame).expect("JSON");
            assert!(frame["stream"].is_null() != frame["payload"].is_object());
            frame["stream"].clone()
        });
        streams.collect::<Vec<_>>()
    };
    wrapped(&client, "instance", "subscribe_instance", 4);
    assert_eq!(stream(&joined(OTHER, 4)), ["instance"]);
    wrapped(&client, "messages", LISTEN, 4);
    assert_eq!(stream(&joined(OTHER, 4)), ["messages"]);
    wrapped(&client, "join", "join_room", 4);
    assert_eq!(stream(&joined(OTHER, 4)), ["join"]);
    assert_eq!(stream(&message_sent(OTHER, 4)), ["messages"]);
    watch(&client, 4, &json!(5));
    assert_eq!(stream(&changed(4)), [json!("instance"), json!(null)]);
    assert_eq!(stream(&deleted(4)), [json!("instance"), json!(null)]);
}

#[test]
fn only_subscriptions_watch_a_room() {
    let client = Client::new();
    let watches = || client.session.watches(chat_id(4));
    client.quietly("join_room", 4);
    assert!(!watches());
    client.quietly(LISTEN, 4);
    assert!(watches());
    client.delivered(&deleted(4));
    assert!(!watches());
    watch(&client, 4, &json!(5));
    assert!(watches());
    unwatch(
        &client,
        &json!({"action": "unsubscribe_instance", "pk": 4, "request_id": 5}),
    );
    assert!(!watches());
}
