//! Refusals and their texts.

use proptest::prelude::*;

use super::*;

/// The status and the errors of a request that never reaches the service.
fn refused(request: &Value) -> (u64, Value) {
    let client = Client::new();
    let Decoded::Refused(_, frames) = client.decode(&request.to_string()) else {
        panic!("taken: {request}");
    };
    let frame: Value = serde_json::from_str(&texts(&frames)[0]).expect("JSON");
    assert_eq!(frame["data"], Value::Null);
    assert_eq!(frame["action"], request["action"]);
    assert_eq!(frame["request_id"], request["request_id"]);
    let status = frame["response_status"].as_u64().expect("a number");
    (status, frame["errors"].clone())
}

#[test]
fn what_cannot_be_read_is_answered_without_action_and_request_id() {
    let client = Client::new();
    let text = r#"{"errors":["Expected a JSON object."],"data":null,"action":null,"response_status":400,"request_id":null,"code":"invalid","retryable":false}"#;
    for frame in ["[]", "5", "null", r#""text""#] {
        assert_eq!(client.send(frame), [text], "{frame}");
    }
    for frame in ["", " ", "{", r#"{"action":"list"} x"#, r#"{"action":}"#] {
        let response: Value = serde_json::from_str(&client.send(frame)[0]).expect("JSON");
        let why = response["errors"][0].as_str().expect("a text");
        assert!(why.starts_with("JSON parse error - "), "{why}");
        assert_eq!(response["response_status"], 400);
        assert_eq!(response["action"], Value::Null);
    }
    let response = texts(
        &client
            .session
            .refuse(&fixtures::frame(""), &client.session.not_text()),
    );
    assert_eq!(
        response,
        [
            r#"{"errors":["A frame must be text."],"data":null,"action":null,"response_status":400,"request_id":null,"code":"invalid","retryable":false}"#
        ]
    );
}

#[test]
fn an_unknown_action_is_not_allowed() {
    for (action, spelling) in [
        (json!("foo"), "foo"),
        (json!(""), ""),
        (json!("Join_Room"), "Join_Room"),
        (json!(5), "5"),
        (json!(null), "None"),
        (json!(true), "True"),
        (json!(false), "False"),
        (json!([1]), "[1]"),
    ] {
        let request = json!({"action": action, "pk": 4, "request_id": "a"});
        let text = format!("Method \"{spelling}\" not allowed.");
        assert_eq!(refused(&request), (405, json!([text])));
    }
    let long = json!({"action": "x".repeat(5000)});
    assert!(refused(&long).1.to_string().len() < 300);
}

#[test]
fn a_missing_action_is_missed() {
    let text = json!(["Unable to find action in message body."]);
    for request in [
        json!({}),
        json!({"request_id": 3}),
        json!({"type": "getChats", "request_id": 3}),
    ] {
        assert_eq!(refused(&request), (405, text.clone()));
    }
}

#[test]
fn a_pk_comes_in_many_forms() {
    let client = Client::new();
    let pk = |pk: Value| match client.command(&json!({"action": "leave_room", "pk": pk})) {
        Command::LeaveChat { chat } => chat,
        other => panic!("{other:?}"),
    };
    let (one, four) = (ChatRef::Pk(1), ChatRef::Pk(4));
    for form in [json!(4), json!("4"), json!(" 4 "), json!(4.0), json!(4.9)] {
        assert_eq!(pk(form), four);
    }
    assert_eq!(pk(json!(1.5)), one);
    assert_eq!(pk(json!(true)), one);
}

#[test]
fn an_impossible_pk_is_no_room() {
    let forms = [
        json!("abc"),
        json!(""),
        json!(null),
        json!(-1),
        json!(0),
        json!(0.9),
        json!(false),
        json!([1]),
        json!({}),
        json!("1.0"),
        json!(i64::MAX),
        json!(1e300),
    ];
    for action in [
        "join_room",
        "leave_room",
        "retrieve",
        "subscribe_to_messages_in_room",
        "subscribe_instance",
        "unsubscribe_instance",
        "update",
        "patch",
        "delete",
    ] {
        for pk in &forms {
            let request = json!({"action": action, "pk": pk, "request_id": 1});
            assert_eq!(refused(&request), (404, json!(["Not found"])));
        }
        let request = json!({"action": action, "request_id": 1});
        assert_eq!(refused(&request), (404, json!(["Not found"])));
    }
    let client = Client::new();
    let response =
        client.send(r#"{"action":"retrieve","pk":1180591620717411303424,"request_id":1}"#);
    assert!(response[0].contains(r#""response_status":404"#));
    let unknown = client.answer(&json!({"action": "join_room", "pk": 5}));
    assert_eq!(unknown["errors"], json!(["Not found"]));
    assert_eq!(unknown["response_status"], 404);
}

#[test]
fn a_message_needs_a_room_and_a_text() {
    let message = |message: Value| {
        let request = json!({"action": "create_message", "pk": 4, "message": message});
        refused(&request)
    };
    let fields = |why: &str| (400, json!([{"message": [why]}]));
    assert_eq!(message(json!(null)), fields("This field may not be null."));
    assert_eq!(message(json!("")), fields("This field may not be blank."));
    assert_eq!(
        message(json!(" \u{a0}\n")),
        fields("This field may not be blank.")
    );
    let missing = json!({"action": "create_message", "pk": 4});
    assert_eq!(refused(&missing), fields("This field is required."));
    let nowhere = json!({"action": "create_message", "message": "a", "room": 4});
    let why = json!(["Join a room first, or give its pk."]);
    assert_eq!(refused(&nowhere), (400, why));
    let named = json!({"action": "create_message", "pk": 4, "message": "a", "client_id": 5});
    let why = json!([{"client_id": ["Not a valid string."]}]);
    assert_eq!(refused(&named), (400, why));
}

#[test]
fn half_a_character_is_a_replacement_but_where_it_is_echoed() {
    let frame = r#"{"action":"create_message","pk":4,"message":"Hello \ud83d","client_id":"\udc00","\ud800":1,"request_id":"\udc00"}"#;
    let client = Client::new();
    let (echo, request) = requests::read(frame, None);
    let Ok((_, Command::SendMessage { draft, .. })) = request else {
        panic!("a message");
    };
    assert_eq!(draft.text, "Hello \u{FFFD}");
    assert_eq!(draft.client_id.as_deref(), Some("\u{FFFD}"));
    let request_id = echo.request_id.expect("echoed");
    assert_eq!(request_id.get(), r#""\udc00""#);
    let half_an_escape = frame.replace(r"\ud83d", r"\ud8");
    assert!(client.send(&half_an_escape)[0].contains("JSON parse error"));
}

#[test]
fn a_room_needs_a_name() {
    let long = "x".repeat(256);
    for (data, errors) in [
        (json!({}), json!({"name": ["This field is required."]})),
        (
            json!({"name": " "}),
            json!({"name": ["This field may not be blank."]}),
        ),
        (
            json!({"name": null}),
            json!({"name": ["This field may not be null."]}),
        ),
        (
            json!({"name": []}),
            json!({"name": ["Not a valid string."]}),
        ),
        (
            json!({"name": long, "team": "x"}),
            json!({"name": ["Ensure this field has no more than 255 characters."],
                   "team": ["Incorrect type. Expected pk value, received str."]}),
        ),
        (
            json!({"name": "a", "team": -1}),
            json!({"team": ["Invalid pk \"-1\" - object does not exist."]}),
        ),
        (
            json!({"name": "a", "team": true}),
            json!({"team": ["Incorrect type. Expected pk value, received bool."]}),
        ),
        (
            json!([1]),
            json!({"non_field_errors": ["Invalid data. Expected a dictionary, but got list."]}),
        ),
        (
            json!("x"),
            json!({"non_field_errors": ["Invalid data. Expected a dictionary, but got str."]}),
        ),
        (json!(null), json!({"data": ["This field is required."]})),
    ] {
        for action in ["create", "update"] {
            let request = json!({"action": action, "pk": 4, "data": data});
            assert_eq!(refused(&request), (400, json!([errors])));
        }
    }
    let missing = json!({"action": "patch", "pk": 4});
    let why = json!([{"data": ["This field is required."]}]);
    assert_eq!(refused(&missing), (400, why));
}

#[test]
fn every_kind_of_error_has_its_status() {
    let denied = "You do not have permission to perform this action.";
    for (kind, status, text) in [
        (ErrorKind::Invalid, 400, "why"),
        (ErrorKind::Unauthenticated, 401, "why"),
        (ErrorKind::Forbidden, 403, denied),
        (ErrorKind::NotFound, 404, "Not found"),
        (ErrorKind::TooLarge, 413, "why"),
        (ErrorKind::Unavailable, 503, "why"),
        (ErrorKind::Internal, 500, "why"),
    ] {
        let client = Client::new();
        let request = json!({"action": "join_room", "pk": 4, "request_id": [1]});
        let Decoded::Request(_, answer) = client.decode(&request.to_string()) else {
            panic!("refused");
        };
        let response = texts(&respond(answer, Err(Error::new(kind, "why"))));
        let (code, retryable) = (kind.code(), status > 413);
        let expected = format!(
            r#"{{"errors":["{text}"],"data":null,"action":"join_room","response_status":{status},"request_id":[1],"code":"{code}","retryable":{retryable}}}"#
        );
        assert_eq!(response, [expected]);
        let nowhere = client.answer(&json!({"action": "create_message", "message": "a"}));
        assert_eq!(nowhere["response_status"], 400, "the join was noted");
    }
}

#[test]
fn a_rate_limited_request_is_answered_with_the_time_to_wait() {
    let request = json!({"action": "join_room", "pk": 4});
    let Decoded::Request(_, answer) = Client::new().decode(&request.to_string()) else {
        panic!("refused");
    };
    let limited = texts(&respond(answer, Err(Error::rate_limited(1500))));
    assert!(limited[0].contains("too many requests at once; retry_after_ms: 1500"));
    assert!(limited[0].contains(r#""response_status":429"#));
}

#[test]
fn what_is_kept_is_short_and_there_are_not_too_many() {
    let client = Client::new();
    let long = "x".repeat(300);
    let subscribe = |id: Value| json!({"action": "subscribe_instance", "pk": 4, "request_id": id});
    let response = client.answer(&subscribe(json!(long)));
    assert_eq!(response["response_status"], 413);
    for id in 0..subscriptions::INSTANCES {
        assert_eq!(client.answer(&subscribe(json!(id)))["response_status"], 201);
    }
    let response = client.answer(&subscribe(json!("one more")));
    assert_eq!(response["response_status"], 413);
    assert_eq!(client.answer(&subscribe(json!(0)))["response_status"], 201);
    let wrapped = json!({"stream": long, "payload": {"action": "list"}});
    assert_eq!(client.answer(&wrapped)["response_status"], 413);
}

#[test]
fn deep_nesting_is_harmless() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let client = Client::new();
    for key in [
        "action",
        "pk",
        "message",
        "data",
        "request_id",
        "payload",
        "stream",
    ] {
        for action in ["create_message", "create", "subscribe_instance"] {
            client.send(&format!(
                r#"{{"action":"{action}","pk":4,"message":"a","{key}":{deep}}}"#
            ));
            client.send(&format!(r#"{{"stream":1,"payload":{{"{key}":{deep}}}}}"#));
        }
    }
}

fn frame() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("4".to_owned()),
        Just("1e400".to_owned()),
        Just(r#""\ud800""#.to_owned()),
        Just(r#""join_room""#.to_owned()),
        Just(r#""create""#.to_owned()),
        Just(r#""create_message""#.to_owned()),
        Just(r#""subscribe_instance""#.to_owned()),
        any::<f64>().prop_map(|number| json!(number).to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| json!(text).to_string()),
    ];
    let key = prop_oneof![
        Just("action"),
        Just("pk"),
        Just("request_id"),
        Just("message"),
        Just("data"),
        Just("name"),
        Just("team"),
        Just("stream"),
        Just("payload"),
        Just("client_id"),
    ];
    scalar.prop_recursive(3, 20, 6, move |inner| {
        let fields = prop::collection::vec((key.clone(), inner.clone()), 0..6);
        let object = fields.prop_map(|fields| {
            let fields = fields
                .iter()
                .map(|(key, value)| format!("\"{key}\":{value}"));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        });
        let list = prop::collection::vec(inner, 0..4);
        prop_oneof![
            object,
            list.prop_map(|list| format!("[{}]", list.join(",")))
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_answered_or_taken(text in ".*") {
        Client::new().send(&text);
    }

    #[test]
    fn any_json_is_answered_with_json(text in frame()) {
        for response in Client::with(Acks::Always, "UTC").send(&text) {
            prop_assert!(serde_json::from_str::<&serde_json::value::RawValue>(&response).is_ok());
        }
    }
}
