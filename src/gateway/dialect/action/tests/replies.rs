//! The commands of requests, and the replies.

use super::*;

#[test]
fn requests_become_commands() {
    let client = Client::new();
    let chat = ChatRef::Pk(4);
    let command = |action: &str| client.command(&json!({"action": action, "pk": "4", "x": 1}));
    let look = |messages| Command::GetRoom { chat, messages };
    assert_eq!(command("join_room"), Command::JoinChat { chat, read: None });
    assert_eq!(command("leave_room"), Command::LeaveChat { chat });
    assert_eq!(command("retrieve"), look(1000));
    assert_eq!(command("subscribe_to_messages_in_room"), look(0));
    assert_eq!(command("subscribe_instance"), look(0));
    assert_eq!(command("unsubscribe_instance"), look(0));
    assert_eq!(command("delete"), Command::DeleteChat { chat });
    assert_eq!(
        command("list"),
        Command::ListRooms {
            limit: None,
            before: None
        }
    );
}

#[test]
fn a_page_of_rooms_has_a_length_and_a_place() {
    let client = Client::new();
    let place = |own| Some(VisibleCursor { own, pk: 7 });
    for (limit, before, expected) in [
        (json!(2), json!("own.7"), (Some(2), place(true))),
        (json!("2"), json!("open.7"), (Some(2), place(false))),
        (json!(null), json!(null), (None, None)),
    ] {
        let list = json!({"action": "list", "limit": limit, "before": before});
        let (limit, before) = expected;
        assert_eq!(client.command(&list), Command::ListRooms { limit, before });
    }
    let refused = client.answer(&json!({"action": "list", "limit": 0, "before": "7"}));
    let errors = json!([{"limit": ["Ensure this value is greater than or equal to 1."],
        "before": ["must be the `next` of an earlier answer"]}]);
    assert_eq!(
        (&refused["errors"], &refused["response_status"]),
        (&errors, &json!(400))
    );
    let refused = client.answer(&json!({"action": "list", "limit": "many", "before": 7}));
    assert_eq!(
        refused["errors"][0]["limit"],
        json!(["A valid integer is required."])
    );
}

#[test]
fn a_page_of_rooms_ends_with_the_place_of_the_next_one() {
    let client = Client::new();
    let page = |next| {
        let list = r#"{"action":"list","request_id":1}"#;
        let Decoded::Request(_, answer) = client.decode(list) else {
            panic!("refused");
        };
        let rooms = Vec::new();
        texts(&respond(answer, Ok(Reply::Rooms(RoomPage { rooms, next }))))
    };
    let plain = r#"{"errors":[],"data":[],"action":"list","response_status":200,"request_id":1"#;
    assert_eq!(page(None), [format!("{plain}}}")]);
    let next = Some(VisibleCursor { own: true, pk: 7 });
    assert_eq!(page(next), [format!(r#"{plain},"next":"own.7"}}"#)]);
}

#[test]
fn room_data_become_commands() {
    let client = Client::new();
    let command = |action: &str, data: Value| {
        client.command(&json!({"action": action, "pk": 4, "data": data}))
    };
    let create = |name: &str, team| Command::CreateRoom {
        name: Some(name.to_owned()),
        team,
    };
    assert_eq!(command("create", json!({"name": " a "})), create("a", None));
    let data = json!({"name": "a", "team": "3"});
    assert_eq!(command("create", data), create("a", Some(3)));
    assert_eq!(command("create", json!({"name": 5})), create("5", None));
    let change = |name: Option<&str>, team| Command::ChangeChat {
        chat: ChatRef::Pk(4),
        change: crate::model::ChatChange {
            name: name.map(str::to_owned),
            team,
        },
    };
    let data = json!({"name": "b", "team": null});
    assert_eq!(command("update", data), change(Some("b"), Some(None)));
    assert_eq!(command("patch", json!({})), change(None, None));
    let data = json!({"team": 9});
    assert_eq!(command("patch", data), change(None, Some(Some(9))));
}

#[test]
fn the_last_of_two_fields_counts() {
    let client = Client::new();
    let Decoded::Request(command, _) =
        client.decode(r#"{"action":"list","action":"delete","pk":1,"pk":4}"#)
    else {
        panic!("refused");
    };
    let chat = ChatRef::Pk(4);
    assert_eq!(command, Command::DeleteChat { chat });
}

#[test]
fn messages_of_any_type_are_sent_to_the_room_that_is_meant() {
    let client = Client::new();
    let send = |frame: &str| match client.decode(frame) {
        Decoded::Request(Command::SendMessage { user, chat, draft }, _) => {
            assert_eq!(user, None);
            (chat, draft)
        }
        _ => panic!("not sent: {frame}"),
    };
    for (json, text) in [
        (r#""Hi world!!!""#, "Hi world!!!"),
        (r#"" \u043c\u0000 ""#, " м\0 "),
        ("5", "5"),
        ("1.50", "1.50"),
        ("true", "true"),
        (r#"{"b":1, "a":[]}"#, r#"{"b":1, "a":[]}"#),
        ("[12345678901234567890123]", "[12345678901234567890123]"),
    ] {
        let frame = format!(r#"{{"action":"create_message","pk":7,"message":{json}}}"#);
        let (chat, draft) = send(&frame);
        assert_eq!(chat, ChatRef::Pk(7));
        assert_eq!(draft, Draft::text(text));
    }
    client.quietly("join_room", 7).quietly("join_room", 4);
    let here = r#"{"action":"create_message","pk":null,"room":7,"message":"a","client_id":"c"}"#;
    let (chat, draft) = send(here);
    assert_eq!(chat, ChatRef::Pk(4), "the last one that was joined");
    assert_eq!(draft.client_id.as_deref(), Some("c"));
    client.quietly("leave_room", 4);
    assert_eq!(send(here).0, ChatRef::Pk(4), "as in the original");
}

#[test]
fn silence_is_broken_on_demand() {
    let silent = ["join_room", "subscribe_to_messages_in_room", "leave_room"];
    let client = Client::with(Acks::Always, "UTC");
    for action in silent {
        Client::new().quietly(action, 4);
        let response =
            client.send(&json!({"action": action, "pk": 4, "request_id": 1.5}).to_string());
        let expected = format!(
            r#"{{"errors":[],"data":null,"action":"{action}","response_status":200,"request_id":1.5}}"#
        );
        assert_eq!(response, [expected]);
    }
    let request = json!({"action": "create_message", "message": "a", "pk": 4});
    Client::new().quietly("join_room", 4).silent(&request);
    client.send(r#"{"action":"join_room","pk":4}"#);
    let response = client.answer(&request);
    assert_eq!(response["action"], "create_message");
    assert_eq!(response["response_status"], 200);
    assert_eq!(response["data"]["text"], "a");
    assert_eq!(response["data"]["id"], 4 * 4 + 4 + 2);
    assert!(response["data"].get("created_at_formatted").is_none());
}

#[test]
fn request_ids_come_back_as_they_went() {
    let client = Client::new();
    for id in [
        "1638979242972",
        "123456789012345678901234567890",
        "1.50",
        "1e400",
        "true",
        r#""\u0430""#,
        r#"{"b":1,"a":[null]}"#,
    ] {
        let response = client.send(&format!(r#"{{"request_id": {id} ,"action":"foo"}}"#));
        assert!(
            response[0].contains(&format!(r#""request_id":{id},"code""#)),
            "{response:?}"
        );
    }
    for frame in [
        r#"{"action":"foo"}"#,
        r#"{"action":"foo","request_id":null}"#,
    ] {
        assert!(client.send(frame)[0].contains(r#""request_id":null,"code""#));
    }
}

#[test]
fn dates_are_in_the_zone_of_the_server_and_in_utc() {
    let date = |zone: &str| {
        let client = Client::with(Acks::Silent, zone);
        // With microseconds, which a store does not keep.
        let retrieve = json!({"action": "retrieve", "pk": 4});
        let response = client.encoded(&retrieve, Reply::Room(room(4)));
        let message = response["data"]["messages"][0].clone();
        assert_eq!(message["created_at_formatted"], "02-12-2021 10:29:38");
        message["create_date"].as_str().expect("a text").to_owned()
    };
    assert_eq!(date("Europe/Moscow"), "2021-12-02T13:29:38.171083+03:00");
    assert_eq!(date("America/St_Johns"), "2021-12-02T06:59:38.171083-03:30");
    assert_eq!(date("UTC"), "2021-12-02T10:29:38.171083Z");
    let zone = TimeZone::UTC;
    let bodies = Bodies { zone: &zone };
    let whole = message(4, 1, guest(), "a", "2021-12-02T10:29:38Z");
    let body = serde_json::to_value(bodies.message(&whole)).expect("JSON");
    assert_eq!(body["create_date"], "2021-12-02T10:29:38.000000Z");
}

#[test]
fn a_room_without_name_and_owner_has_all_its_keys() {
    let response = Client::new().answer(&json!({"action": "list", "data": {}}));
    let rooms = response["data"].as_array().expect("a list");
    assert_eq!(rooms.len(), 2);
    let member = json!([{"id": 47, "username": "djwoms1",
        "avatar": "/media/default/default.jpg", "github": ""}]);
    assert_eq!(
        rooms[0],
        json!({"pk": 7, "name": "", "user": null, "team": null, "messages": [], "member": member})
    );
}

#[test]
fn an_answer_of_the_wrong_kind_is_an_internal_error() {
    let client = Client::new();
    let Decoded::Request(_, answer) = client.decode(r#"{"action":"list"}"#) else {
        panic!("refused");
    };
    let response = texts(&respond(answer, Ok(Reply::EventDeleted(1))));
    assert!(response[0].contains(r#""response_status":500"#));
}

#[test]
fn an_envelope_goes_round_every_answer() {
    let client = Client::new();
    let payload_of = |payload: Value| {
        let response = client.answer(&json!({"stream": "room", "payload": payload}));
        assert_eq!(response["stream"], "room");
        assert_eq!(response.as_object().map(serde_json::Map::len), Some(2));
        response["payload"].clone()
    };
    let joined = payload_of(json!({"action": "join_room", "pk": 4, "request_id": "u"}));
    assert_eq!(
        joined,
        json!({"errors": [], "data": null, "action": "join_room",
            "response_status": 200, "request_id": "u"})
    );
    assert_eq!(payload_of(json!({"action": "foo"}))["response_status"], 405);
    assert_eq!(payload_of(json!({}))["response_status"], 405);
    assert_eq!(payload_of(json!([]))["response_status"], 400);
    let response = client.send(r#"{"stream":[1], "x":2}"#);
    assert_eq!(
        response,
        [
            r#"{"stream":[1],"payload":{"errors":[{"payload":["This field is required."]}],"data":null,"action":null,"response_status":400,"request_id":null,"code":"invalid","retryable":false}}"#
        ]
    );
    let plain = client.answer(&json!({"action": "foo", "stream": "x", "payload": {}}));
    assert_eq!(
        plain["response_status"], 405,
        "a stream is an extra key there"
    );
}

#[test]
fn it_recognises_its_frames() {
    assert!((DIALECT.recognises)(&json!({"action": null})));
    assert!((DIALECT.recognises)(&json!({"stream": "a", "payload": {}})));
    for other in [json!({"type": "getChats"}), json!([]), json!("action")] {
        assert!(!(DIALECT.recognises)(&other));
    }
}
