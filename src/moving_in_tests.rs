//! `import` and `export` over a store: the order of messages, repetition, equal stores, lines at fault.
//! Does not test the format: `gateway::archive` does.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use crate::bus::{Bus, Local};
use crate::export;
use crate::import::{Counts, Here, ImportError, Report, Source, Task, check, import};
use crate::model::{Clock, History, Range, Window};
use crate::service::{Limits, Service};
use crate::store::{self, Store};
use crate::telemetry::Metrics;

const LIMITS: Limits = Limits {
    message_bytes: 1000,
    members: 100,
    chats: None,
};

const HEADER: &str = r#"{"type":"polychat","version":1}"#;

async fn store() -> Arc<dyn Store> {
    store::open("sqlite::memory:").await.expect("a store")
}

fn here(store: &Arc<dyn Store>) -> Here {
    let bus: Arc<dyn Bus> = Arc::new(Local::default());
    let (service, committer) = Service::new(
        Arc::clone(store),
        Arc::clone(&bus),
        Clock::system(),
        LIMITS,
        Metrics::default(),
    );
    Here::new(service, committer, bus)
}

fn file(folder: &Path, lines: &[&str]) -> PathBuf {
    let path = folder.join(format!("{}.jsonl", lines.len()));
    let mut file = std::fs::File::create(&path).expect("a file");
    for line in [HEADER].iter().chain(lines) {
        writeln!(file, "{line}").expect("written");
    }
    path
}

/// Imports lines; the report, and the lines at fault.
async fn imported(store: &Arc<dyn Store>, lines: &[&str]) -> (Report, Vec<(u32, String)>) {
    let folder = tempfile::tempdir().expect("a folder");
    let task = Task {
        file: file(folder.path(), lines),
        map: None,
        add_members: false,
    };
    let here = here(store);
    let mut wrong = Vec::new();
    let mut name = |line: u32, why: &str| wrong.push((line, why.to_owned()));
    let source = Source::read(&task.file, &mut name).expect("read");
    let report = import(source, &task, &here, &mut name).await;
    let report = report.expect("imported");
    here.end().await;
    (report, wrong)
}

async fn texts(store: &dyn Store, chat: &str) -> Vec<(i64, String, String, Timestamp)> {
    let found = store.chats_by_external_id(&[chat.into()]).await;
    let id = found.expect("an answer")[0].expect("a chat");
    let history = History {
        range: Range::default(),
        window: Window::First(100),
    };
    let page = store.messages(id, history).await.expect("a page");
    let text = |it: crate::model::Message| {
        (
            it.seq,
            it.sender.external_id.clone(),
            it.text,
            it.created_at,
        )
    };
    page.messages.into_iter().map(text).collect()
}

async fn exported(store: &dyn Store) -> String {
    let mut out = Vec::new();
    export::export(store, &mut out, Timestamp::UNIX_EPOCH)
        .await
        .expect("exported");
    String::from_utf8(out).expect("a text")
}

const TALK: &[&str] = &[
    r#"{"type":"message","chat":{"externalChatId":"r"},"original_id":"3","sender":{"externalUserId":"anna"},"text":"three","created_at":"2024-01-01T00:00:03Z"}"#,
    r#"{"type":"message","chat":"external:r","original_id":"1","sender":"external:boris","text":"one","created_at":"2024-01-01T00:00:01Z"}"#,
    r#"{"type":"message","chat":7,"original_id":"2","sender":14,"text":"two","created_at":"2024-01-01T00:00:01Z","likes":2}"#,
    r#"{"type":"read","chat":7,"user":14,"original_id":"1"}"#,
    r#"{"type":"chat","externalChatId":"r","pk":7,"name":"Soup","members":[14,{"user":"external:vera","role":"moderator"}]}"#,
    r#"{"type":"user","externalUserId":"anna","pk":14,"name":"Anna","created_at":"2023-01-01T00:00:00Z"}"#,
];

#[tokio::test]
async fn a_conversation_is_moved_in_by_the_order_of_time() {
    let store = store().await;
    let (report, wrong) = imported(&store, TALK).await;
    assert!(wrong.is_empty(), "{wrong:?}");
    let at = |second: i64| Timestamp::from_second(1_704_067_200 + second).expect("a time");
    let all = texts(&*store, "r").await;
    let expected = [
        (1, "boris", "one", at(1)),
        (2, "anna", "two", at(1)),
        (3, "anna", "three", at(3)),
    ];
    let expected = expected.map(|(seq, who, text, at)| (seq, who.to_owned(), text.to_owned(), at));
    assert_eq!(all, expected);
    let anna = store
        .user_by_pk(14)
        .await
        .expect("an answer")
        .expect("a user");
    assert_eq!((&*anna.name, &*anna.external_id), ("Anna", "anna"));
    let chat = store.chat_id(7).await.expect("an answer").expect("a chat");
    let chat = store.chat(chat).await.expect("an answer").expect("a chat");
    assert_eq!((chat.created_at, chat.active_at), (at(1), at(3)));
    assert_eq!(report.kinds["message"].created, 3);
}

#[tokio::test]
async fn a_second_import_finds_everything() {
    let store = store().await;
    imported(&store, TALK).await;
    let before = exported(&*store).await;
    let (report, wrong) = imported(&store, TALK).await;
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(exported(&*store).await, before);
    for (kind, counts) in &report.kinds {
        assert_eq!(counts.created, 0, "{kind}");
    }
    // And what has come since is added.
    let mut more = TALK.to_vec();
    more.insert(0, r#"{"type":"message","chat":"external:r","original_id":"4","sender":14,"text":"four","created_at":"2024-01-01T00:00:04Z"}"#);
    let (report, wrong) = imported(&store, &more).await;
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(
        report.kinds["message"],
        Counts {
            read: 4,
            created: 1,
            found: 3
        }
    );
    assert_eq!(texts(&*store, "r").await[3].2, "four");
}

#[tokio::test]
async fn an_export_is_imported_into_an_equal_store() {
    let store_a = store().await;
    imported(&store_a, TALK).await;
    let event = r#"{"type":"event","id":10,"eventOwnerId":"external:olga","name":"Picnic"}"#;
    let chat = r#"{"type":"chat","externalChatId":"e","event":{"id":10,"guest":"external:g","access":"granted"}}"#;
    let banned = r#"{"type":"chat","externalChatId":"b","policy":"open","owner":"external:olga","bans":[{"user":"external:x"}],"kept":[{"user":"external:x","role":"reader","mute":{}}]}"#;
    let (_, wrong) = imported(&store_a, &[event, chat, banned]).await;
    assert!(wrong.is_empty(), "{wrong:?}");
    let lines = exported(&*store_a).await;
    let lines: Vec<&str> = lines.lines().skip(1).collect();
    let store_b = store().await;
    let (_, wrong) = imported(&store_b, &lines).await;
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(exported(&*store_b).await, exported(&*store_a).await);
    let (_, wrong) = imported(&store_b, &lines).await;
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(exported(&*store_b).await, exported(&*store_a).await);
}

#[tokio::test]
async fn records_that_do_not_fit_are_refused_one_by_one() {
    let store = store().await;
    imported(&store, TALK).await;
    let (report, wrong) = imported(
        &store,
        &[
            r#"{"type":"user","externalUserId":"other","pk":14}"#,
            r#"{"type":"user","externalUserId":"anna","pk":15}"#,
            r#"{"type":"chat","externalChatId":"other","pk":7}"#,
            r#"{"type":"chat","externalChatId":"big","members":[99]}"#,
            r#"{"type":"message","chat":"external:r","original_id":"0","sender":14,"text":"early","created_at":"2024-01-01T00:00:00Z"}"#,
            r#"{"type":"message","chat":"external:r","original_id":"9","sender":14,"text":"late","created_at":"2999-01-01T00:00:00Z"}"#,
            r#"{"type":"message","chat":"external:nowhere","original_id":"9","sender":14,"text":"lost","created_at":0}"#,
            r#"{"type":"message","chat":"external:r","original_id":"5","sender":14,"text":"good","created_at":"2024-01-02T00:00:00Z"}"#,
            r#"{"type":"message","chat":"external:r","original_id":"6","sender":14,"text":" ","created_at":"2024-01-03T00:00:00Z"}"#,
        ],
    )
    .await;
    let mut lines: Vec<_> = wrong.iter().map(|(line, _)| *line).collect();
    lines.sort_unstable();
    assert_eq!(lines, [2, 3, 4, 5, 6, 7, 8, 10], "{wrong:?}");
    assert_eq!((report.refused, report.kinds["message"].created), (8, 1));
    assert_eq!(texts(&*store, "r").await.len(), 4);
}

#[tokio::test]
async fn lines_at_fault_are_all_named_and_nothing_is_imported() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(
        folder.path(),
        &[
            r#"{"type":"user","externalUserId":"anna"}"#,
            "not JSON",
            r#"{"type":"user","externalUserId":"anna"}"#,
            "",
            r#"{"type":"message","chat":1,"sender":1,"text":"x","created_at":0}"#,
            r#"{"type":"chat"}"#,
            HEADER,
            r#"{"type":"message","chat":1,"original_id":"1","sender":1,"text":" ","created_at":0}"#,
            r#"{"type":"chat","pk":94000001}"#,
        ],
    );
    let mut lines = Vec::new();
    let mut name = |line: u32, _: &str| lines.push(line);
    let report = check(&path, LIMITS, Timestamp::MAX, &mut name).expect("read");
    assert_eq!(lines, [3, 4, 6, 7, 8, 9, 10]);
    assert_eq!((report.wrong, report.kinds["user"].read), (7, 1));
    let error = Source::read(&path, &mut |_, _| ()).err();
    assert!(matches!(error, Some(ImportError::Wrong(5))), "{error:?}");
}

#[tokio::test]
async fn members_of_a_later_file_are_added_if_that_is_wanted() {
    let store = store().await;
    imported(&store, TALK).await;
    let line = r#"{"type":"chat","externalChatId":"r","members":[14,"external:new",{"user":"external:chief","role":"owner"}]"#;
    for (end, expected) in [("}", 2), (r#","add_members":true}"#, 4)] {
        let (report, wrong) = imported(&store, &[&format!("{line}{end}")]).await;
        assert!(wrong.is_empty(), "{wrong:?}");
        assert_eq!(report.members_added, expected - 2);
        let records = store.chat_records(0, 9).await.expect("chats");
        assert_eq!(records[0].members.len(), expected);
    }
    let records = store.chat_records(0, 9).await.expect("chats");
    let roles: Vec<_> = records[0].members.iter().map(|it| it.role.name()).collect();
    assert_eq!(roles, ["member", "moderator", "member", "owner"]);
}

#[tokio::test]
async fn records_that_contradict_themselves_are_refused_with_the_field() {
    let cases = [
        (
            r#"{"type":"chat","pk":1,"bans":[{"user":"external:z"},{"user":{"externalUserId":"z"}}]}"#,
            "bans: names user external:z twice",
        ),
        (
            r#"{"type":"chat","pk":1,"members":["external:z","external:z"]}"#,
            "members: names user external:z twice",
        ),
        (
            r#"{"type":"chat","pk":1,"kept":[{"user":"external:z","role":"owner"}]}"#,
            "kept.role: must be reader or member",
        ),
        (
            r#"{"type":"chat","pk":1,"members":[{"user":"external:z","last_read":5}]}"#,
            "members.last_read: is greater than head",
        ),
        (
            r#"{"type":"numbers","users":"9223372036854775807"}"#,
            "users: is greater than",
        ),
        (
            r#"{"type":"message","chat":9,"original_id":1,"sender":1,"text":"x","created_at":-1}"#,
            "created_at: lies before 1970",
        ),
        (
            r#"{"type":"chat","pk":1,"event":{"id":5,"guest":"external:z"},"policy":"open"}"#,
            "policy: must be closed",
        ),
    ];
    for (line, why) in cases {
        let store = store().await;
        let (report, wrong) = imported(&store, &[line]).await;
        assert_eq!(report.refused, 1, "{line}");
        assert!(wrong[0].1.starts_with(why), "{line} {wrong:?}");
    }
}

#[tokio::test]
async fn what_stands_twice_under_two_names_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let message = r#""original_id":"1","sender":14,"text":"x","created_at":0}"#;
    let id = r#""id":"01955b2e-7a10-7f3e-8a54-6d2c9d6c4f02""#;
    let lines = [
        format!(r#"{{"type":"message","chat":"external:r",{message}"#),
        format!(r#"{{"type":"message","chat":7,{message}"#),
        r#"{"type":"chat","externalChatId":"r","pk":7}"#.to_owned(),
        format!(r#"{{"type":"user","externalUserId":"a",{id}}}"#),
        format!(r#"{{"type":"user","externalUserId":"b",{id}}}"#),
        format!(r#"{{"type":"chat","externalChatId":"s",{id}}}"#),
        format!(r#"{{"type":"chat","externalChatId":"t",{id}}}"#),
    ];
    let lines: Vec<&str> = lines.iter().map(|line| &**line).collect();
    let path = file(folder.path(), &lines);
    let mut wrong = Vec::new();
    let mut name = |line: u32, _: &str| wrong.push(line);
    check(&path, LIMITS, Timestamp::MAX, &mut name).expect("read");
    wrong.sort_unstable();
    assert_eq!(wrong, [3, 6, 8]);
}

#[tokio::test]
async fn chosen_numbers_are_not_given_to_others_of_the_file() {
    let store = store().await;
    let lines = [
        r#"{"type":"chat","externalChatId":"next","members":["external:m"]}"#,
        r#"{"type":"chat","externalChatId":"chosen","pk":1}"#,
        r#"{"type":"user","externalUserId":"next"}"#,
        r#"{"type":"user","externalUserId":"chosen","pk":1}"#,
    ];
    let (_, wrong) = imported(&store, &lines).await;
    assert!(wrong.is_empty(), "{wrong:?}");
    let first = store.user_by_pk(1).await.expect("an answer");
    assert_eq!(first.expect("a user").external_id, "chosen");
}

#[tokio::test]
async fn the_lines_of_an_export_may_stand_in_any_order() {
    let source = store().await;
    let message = |number| {
        format!(
            r#"{{"type":"message","chat":7,"original_id":{number},"sender":{{"externalUserId":14}},"text":"{number}","created_at":5}}"#
        )
    };
    let messages: Vec<String> = (1..=9).map(message).collect();
    let chat = r#"{"type":"chat","externalChatId":"r","pk":7,"bans":[{"user":"external:b","until":"9999-12-31"}]}"#;
    let mut lines = vec![chat];
    lines.extend(messages.iter().map(|line| &**line));
    let (_, wrong) = imported(&source, &lines).await;
    assert!(wrong.is_empty(), "{wrong:?}");
    let lines = exported(&*source).await;
    let backwards: Vec<&str> = lines.lines().skip(1).collect();
    let backwards: Vec<&str> = backwards.into_iter().rev().collect();
    let target = store().await;
    let (_, wrong) = imported(&target, &backwards).await;
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(exported(&*target).await, lines);
}
