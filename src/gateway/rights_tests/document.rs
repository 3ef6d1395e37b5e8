//! docs/RIGHTS.md is the tested matrix: the test fails if it is not, and writes it anew if the
//! environment has `WRITE_RIGHTS` (`make rights`).

use std::fmt::Write as _;
use std::path::Path;

use super::event_chat;
use super::matrix::{CLOSED, Cell, OPEN, ROLES, Role, Row};
use super::requests::{self, Via};
use super::scene::{Kind, Scene, World};

const INTRODUCTION: &str = include_str!("introduction.md");

/// The heading of a column.
const fn heading(role: Role) -> &'static str {
    match role {
        Role::Stranger => "stranger",
        Role::ExMember => "ex-member",
        Role::Banned => "banned",
        Role::Muted => "muted",
        Role::Reader => "reader",
        Role::Member => "member",
        Role::Moderator => "moderator",
        Role::Owner => "owner",
        Role::Service => "service",
    }
}

fn line(out: &mut String, cells: impl IntoIterator<Item = impl AsRef<str>>) {
    for cell in cells {
        let _ = write!(out, "| {} ", cell.as_ref());
    }
    out.push_str("|\n");
}

fn head(out: &mut String, names: &[&str]) {
    let ends = ["operation"].into_iter().chain(names.iter().copied());
    line(out, ends.chain(["over"]));
    line(out, vec!["---"; names.len() + 2]);
}

/// The table of these rows.
fn table(out: &mut String, world: &World, scene: &Scene, rows: &[Row]) {
    head(out, &ROLES.map(heading));
    for row in rows {
        let user = world.of(Role::Member);
        let has = |via: &Via| {
            let (operation, role) = (row.operation, Role::Member);
            requests::request(world, scene, operation, role, user, *via).is_some()
        };
        let via = Via::ALL.into_iter().filter(has).filter_map(Via::name);
        let via: Vec<_> = via.collect();
        let over = if via.is_empty() {
            "–".into()
        } else {
            via.join(", ")
        };
        let cells = row.cells().map(Cell::text).map(str::to_owned);
        let cells = [row.name.to_owned()].into_iter().chain(cells);
        line(out, cells.chain([over]));
    }
}

async fn document() -> String {
    let world = World::open().await;
    let scene = Scene::set(&world, Kind::Closed).await;
    let mut out = INTRODUCTION.to_owned();
    out.push_str("\n## A closed chat\n\n");
    table(&mut out, &world, &scene, &CLOSED);
    out.push_str("\n## An open chat\n\n");
    table(&mut out, &world, &scene, &OPEN);
    out.push_str("\n## The chat of an event\n\nIts members are the event's owner and one guest. ");
    out.push_str("They have no roles, and cannot be muted, banned, added or removed.\n\n");
    head(&mut out, &event_chat::NAMES);
    for row in event_chat::ROWS {
        let cells = row.cells().map(Cell::text);
        line(
            &mut out,
            [row.name].into_iter().chain(cells).chain([row.via]),
        );
    }
    world.close().await;
    out
}

#[tokio::test]
async fn the_document_has_the_tested_rights() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/RIGHTS.md");
    let document = document().await;
    if std::env::var_os("WRITE_RIGHTS").is_some() {
        std::fs::write(&path, &document).expect("the document is written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == document,
        "docs/RIGHTS.md is not what is tested: run `make rights`"
    );
}
