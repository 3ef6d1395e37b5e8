//! `get-user` and `whoami`: the requests, and what they answer.

use serde_json::{Value, json};

use super::requests::command;
use super::responses::{CREATE_USER, GET_USER, WHOAMI, response};
use crate::gateway::dialect::fixtures;
use crate::model::{Command, Error, Reply, User, UserRef};

fn decoded(name: &str, body: &Value) -> Result<Command, Error> {
    let packet = json!([name, body]).to_string();
    command(fixtures::packet(&packet, None).event()?)
}

fn answered(reply: &Reply) -> (&'static str, Value) {
    let (name, body) = response(reply).expect("an answer");
    (name, serde_json::from_str(body.as_str()).expect("JSON"))
}

#[test]
fn get_user_names_a_user() {
    let user = UserRef::External("boris".into());
    let body = json!({"user": {"externalUserId": "boris"}});
    let get = decoded(GET_USER, &body).expect("a command");
    assert_eq!(get, Command::GetProfile { user });
    let cases = [
        (json!({}), "user: is missing"),
        (json!({"user": {}}), "user.id: is missing"),
        (json!({"user": "boris"}), "user: must be an object"),
    ];
    for (body, expected) in cases {
        let refused = decoded(GET_USER, &body).expect_err("refused");
        assert_eq!(refused.message, expected);
    }
}

#[test]
fn whoami_needs_nothing() {
    for body in [json!({}), json!(null), json!({"user": 7})] {
        let who = decoded(WHOAMI, &body);
        assert_eq!(who.expect("a command"), Command::WhoAmI);
    }
    let refused = decoded(WHOAMI, &json!([])).expect_err("refused");
    assert_eq!(refused.message, "body: must be an object");
}

#[test]
fn others_are_shown_the_profile_and_a_user_itself_everything() {
    let user = User::example();
    let (_, own) = answered(&Reply::User(user.clone()));
    assert_eq!(answered(&Reply::User(user.clone())).0, CREATE_USER);
    assert_eq!(answered(&Reply::Me(user.clone())), (WHOAMI, own.clone()));
    let (name, profile) = answered(&Reply::Profile(user));
    assert_eq!(name, GET_USER);
    let mut expected = own;
    let fields = expected["user"].as_object_mut().expect("a user");
    for private in ["created_at", "modified_at"] {
        assert!(fields.remove(private).is_some(), "{private}");
    }
    assert_eq!(profile, expected);
    let names: Vec<_> = fields_of(&profile);
    assert_eq!(
        names,
        [
            "avatar",
            "externalUserId",
            "github",
            "id",
            "imageUUID",
            "name",
            "pk",
            "username"
        ]
    );
}

fn fields_of(answer: &Value) -> Vec<&str> {
    let user = answer["user"].as_object().expect("a user");
    let mut names: Vec<_> = user.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}
