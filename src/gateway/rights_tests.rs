//! The rights, in every dialect and over REST: each operation is tried by a user of each role in a
//! closed chat, in an open one and in that of an event, and docs/RIGHTS.md is what was found.
//! Does not test transports.

mod document;
mod event_chat;
mod matrix;
mod requests;
mod scene;
mod tries;

use self::matrix::{CLOSED, Cell, OPEN, Operation, ROLES, Role, Row};
use self::requests::Via;
use self::scene::{Kind, Scene, World};

/// Tries each operation as each role, in every way there is.
async fn check(world: &World, kind: Kind, rows: &[Row]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut attempts = 0;
    for row in rows {
        for (role, expected) in ROLES.into_iter().zip(row.cells()) {
            let actors = match role {
                // The creator has the rights of an owner, but over itself, and those over owners.
                Role::Owner
                    if !row.operation.concerns_creator() && !row.operation.concerns_owner() =>
                {
                    vec![world.of(role), world.creator]
                }
                _ => vec![world.of(role)],
            };
            for actor in actors {
                let mut scene = None;
                for via in Via::ALL {
                    let there = match scene.take() {
                        Some(there) => there,
                        None => Scene::set(world, kind).await,
                    };
                    let found = tries::attempt(world, &there, row.operation, role, actor, via);
                    let found = found.await;
                    attempts += usize::from(found.is_some());
                    if let Some(found) = found.filter(|found| *found != expected) {
                        wrong.push(format!(
                            "{kind:?} chat, {}, {role:?}, {via:?}: {found:?}, not {expected:?}",
                            row.name
                        ));
                    }
                    // What was refused has changed nothing.
                    if found != Some(Cell::Yes) || !row.operation.changes() {
                        scene = Some(there);
                    }
                }
            }
        }
    }
    print_count(kind, attempts);
    wrong
}

#[expect(clippy::print_stderr, reason = "the ledger of attacks has the number")]
fn print_count(kind: Kind, attempts: usize) {
    eprintln!("{kind:?} chat: {attempts} attempts");
}

#[tokio::test]
async fn every_role_may_the_same_in_every_dialect_in_a_closed_chat() {
    let world = World::open().await;
    let wrong = check(&world, Kind::Closed, &CLOSED).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
    world.close().await;
}

#[tokio::test]
async fn every_role_may_the_same_in_every_dialect_in_an_open_chat() {
    let world = World::open().await;
    let wrong = check(&world, Kind::Open, &OPEN).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
    world.close().await;
}

#[tokio::test]
async fn only_the_creator_ends_the_rank_of_other_owners_and_sanctions_none() {
    let world = World::open().await;
    let mut wrong = Vec::new();
    for (kind, rows) in [(Kind::Closed, &CLOSED), (Kind::Open, &OPEN)] {
        for row in rows.iter().filter(|row| row.operation.concerns_owner()) {
            let expected = match row.operation {
                Operation::RemoveOwner | Operation::DemoteOwner => Cell::Yes,
                _ => Cell::Forbidden,
            };
            for via in Via::ALL {
                let scene = Scene::set(&world, kind).await;
                let creator = world.creator;
                let found =
                    tries::attempt(&world, &scene, row.operation, Role::Owner, creator, via).await;
                if let Some(found) = found.filter(|found| *found != expected) {
                    wrong.push(format!("{kind:?} chat, {}, {via:?}: {found:?}", row.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    world.close().await;
}
