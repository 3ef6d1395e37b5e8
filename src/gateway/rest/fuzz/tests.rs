//! The words of REST, and a test for each target.
//! Does not check results: the targets do.

use super::*;
use crate::fuzz::mutator::{Words, bytes, input, text};
use crate::fuzz::run;

const BODIES: Words = Words {
    samples: &[
        r#"{"externalUserId":"anna","username":"a","name":"Anna","avatar":"x","github":"y","imageUUID":"z"}"#,
        r#"{"name":"Lunch","members":[1,"01a20107-7bba-7000-8000-000000000001"]}"#,
        r#"{"name":null,"team":3}"#,
        r#"{"users":[1,2.0,"3"]}"#,
        r#"{"userId":1,"text":"Soup?","type":"text","photos":["p"],"client_id":"c"}"#,
        r#"{"ownerId":1,"name":"Event","iconsUUIDs":["i"],"location":"ONLINE","dateFromS":2514131321,"dateToS":1957817098}"#,
        r#"{"userId":"2","message":"Let me in"}"#,
        r#"{"granted":true}"#,
        r#"{"externalUserId":"anna","ttl_s":3600}"#,
        r#"{"role":"moderator"}"#,
        r#"{"seconds":600}"#,
        r#"{"before":"2025-03-01T14:51:53Z"}"#,
    ],
    keys: &[
        "externalUserId",
        "username",
        "name",
        "imageUUID",
        "members",
        "team",
        "users",
        "userId",
        "text",
        "type",
        "photos",
        "client_id",
        "ownerId",
        "iconsUUIDs",
        "location",
        "dateFromS",
        "dateToS",
        "granted",
        "ttl_s",
        "role",
        "seconds",
        "before",
    ],
    texts: &["anna", "1", "01a20107-7bba-7000-8000-000000000001", "text"],
};

#[test]
fn queries() {
    let inputs = text(&[
        "limit=7&cursor=b20",
        "from=2025-03-01&to=2025-03-01T10:00:00Z&after_seq=1&before_seq=9",
        "user=1&cursor=a1740836400123.3",
        "chat=1&user=2&cursor=l01a20107-7bba-7000-8000-000000000001",
        "owner=01a20107-7bba-7000-8000-000000000001&limit=1001",
        "token=a%20b&limit=%37",
        "limit=9223372036854775808&after_seq=18446744073709551616",
        "cursor=f9007199254740991&after_seq=9223372036854775807",
    ]);
    run(&QUERY, &bytes(inputs));
}

#[test]
fn bodies() {
    run(&BODY, &bytes(input(BODIES)));
}

#[test]
fn cursors() {
    let inputs = text(&[
        "u12",
        "c1",
        "e9007199254740991",
        "a1740836400123.3",
        "b5",
        "f20",
    ]);
    run(&PAGE, &bytes(inputs));
}

#[test]
fn names_and_numbers() {
    let inputs = text(&[
        "1",
        "9007199254740991",
        "01a20107-7bba-7000-8000-00000000000A",
        "5.0",
        "0.5e1",
        "-9223372036854775808",
        "2238836601637891.0",
    ]);
    run(&NAME, &bytes(inputs));
}

#[test]
fn idempotency_keys() {
    run(&KEY, &bytes(text(&["order-7", "~!", "a b"])));
}

#[test]
fn credentials_in_headers_and_queries() {
    let inputs = text(&[
        "Bearer abc",
        "bearer  a.b.c ",
        "Basic YTpi",
        "token=a%20b&EIO=4",
        "Bearer",
    ]);
    run(&CREDENTIALS, &bytes(inputs));
}
