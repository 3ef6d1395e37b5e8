//! The values of a field, and how an error names it.

use serde_json::json;

use super::*;

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Request<'a> {
    #[serde(borrow)]
    chat: Field<Object<Chat<'a>>>,
    #[serde(borrow)]
    msg: Field<Text<'a>>,
    #[serde(borrow)]
    users: Field<Texts<'a>>,
    limit: Field<Whole<1>>,
    id: Field<Whole<0>>,
    flag: Field<Flag>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Chat<'a> {
    #[serde(borrow)]
    id: Field<Text<'a>>,
    pk: Field<Whole<0>>,
}

/// Reads every field, in this order.
fn read(body: &Value) -> Result<Request<'_>, Error> {
    let request: Request<'_> = decode(body)?;
    if let Some(Object(chat)) = request.chat.get("chat")? {
        chat.id.get("chat.id")?;
        chat.pk.get("chat.pk")?;
    }
    request.msg.get("msg")?;
    request.users.get("users")?;
    request.limit.get("limit")?;
    request.id.get("id")?;
    request.flag.get("flag")?;
    Ok(request)
}

fn error(body: &Value) -> String {
    read(body).expect_err("wrong").message
}

#[test]
fn an_error_names_the_whole_path() {
    let body = json!({"chat": {"id": 7}});
    assert_eq!(error(&body), "chat.id: must be a string");
    let body = json!({"chat": {"id": "7", "pk": 7}});
    let request = read(&body).expect("a chat");
    let Object(chat) = request.chat.required("chat").expect("there");
    assert_eq!(chat.id.required("chat.id").expect("an id").0, "7");
    assert_eq!(chat.pk.required("chat.pk").expect("a pk").0, 7);
}

#[test]
fn null_is_missing() {
    let body = json!({"msg": null, "chat": null, "limit": null, "id": null, "users": null});
    let request = read(&body).expect("null is no error");
    assert!(matches!(request.msg, Field::Missing));
    assert!(
        matches!(request.flag, Field::Missing),
        "and so is what is not there"
    );
    let error = request.chat.required("chat").expect_err("missing");
    assert_eq!(error.message, "chat: is missing");
}

#[test]
fn a_field_that_is_not_used_spoils_nothing() {
    let body = json!({"msg": 7, "users": [1], "limit": 3});
    let request: Request<'_> = decode(&body).expect("a request");
    assert_eq!(request.limit.required("limit").expect("three").0, 3);
    let error = request.msg.get("msg").expect_err("no string");
    assert_eq!(error.message, "msg: must be a string");
}

#[test]
fn an_object_is_no_list_and_nothing_else() {
    for wrong in [json!([]), json!(["a"]), json!("a"), json!(1), json!(true)] {
        assert_eq!(error(&json!({"chat": wrong})), "chat: must be an object");
        assert_eq!(error(&wrong), "body: must be an object");
    }
    assert_eq!(error(&json!(null)), "body: must be an object");
}

#[test]
fn a_text_that_pretends_to_be_an_error_changes_nothing() {
    let body = json!({"chat": "invalid type: a, expected a miracle"});
    assert_eq!(error(&body), "chat: must be an object");
    let body = json!({"limit": ", expected a miracle"});
    assert_eq!(error(&body), "limit: must be a whole number of at least 1");
}

#[test]
fn lists_hold_strings_only() {
    let body = json!({"users": ["a", "b"]});
    let request = read(&body).expect("a list");
    assert_eq!(
        request.users.required("users").expect("there").0,
        ["a", "b"]
    );
    for wrong in [
        json!("a"),
        json!({"a": 1}),
        json!(["a", 1]),
        json!([null]),
        json!([["a"]]),
        json!([{"a": [1]}]),
        json!([true, 1.5, -1]),
    ] {
        let error = error(&json!({"users": wrong}));
        assert_eq!(error, "users: must be a list of strings");
    }
}

#[test]
fn whole_numbers_are_large_enough() {
    for wrong in [json!(0), json!(-1), json!(0.0), json!("0"), json!("-1")] {
        let error = error(&json!({"limit": wrong}));
        assert_eq!(error, "limit: must be a whole number of at least 1");
    }
    let body = json!({"limit": 1});
    let request = read(&body).expect("one");
    assert_eq!(request.limit.required("limit").expect("there").0, 1);
}

#[test]
fn a_whole_number_has_many_spellings() {
    for (value, expected) in [
        (json!(0), 0),
        (json!("0"), 0),
        (json!(7), 7),
        (json!("7"), 7),
        (json!(7.0), 7),
        (json!(1e1), 10),
        (json!(i64::MAX), i64::MAX),
        (json!(i64::MAX.to_string()), i64::MAX),
    ] {
        let body = json!({"id": value});
        let request = read(&body).expect("a number");
        assert_eq!(
            request.id.required("id").expect("there").0,
            expected,
            "{value}"
        );
    }
}

#[test]
fn what_is_no_whole_number_is_refused_as_a_text_too() {
    let wrong = json!([
        -1, 1.5, 1e300, u64::MAX, true, [1], {"a": 1},
        "-1", "1.5", "1e300", "9223372036854775808", "", " 1", "1 ", "0x1", "one",
    ]);
    for value in wrong.as_array().expect("a list") {
        let error = error(&json!({"chat": {"pk": value}}));
        let why = "chat.pk: must be a whole number of at least 0";
        assert_eq!(error, why, "{value}");
    }
}

#[test]
fn a_flag_is_true_or_false_and_nothing_like_it() {
    for (value, expected) in [(json!(true), true), (json!(false), false)] {
        let body = json!({"flag": value});
        let request = read(&body).expect("a flag");
        assert_eq!(request.flag.required("flag").expect("there").0, expected);
    }
    for wrong in [
        json!(1),
        json!(0),
        json!("true"),
        json!(""),
        json!([]),
        json!({}),
    ] {
        assert_eq!(
            error(&json!({"flag": wrong})),
            "flag: must be true or false"
        );
    }
}
