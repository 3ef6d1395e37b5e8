//! What is promised of a mute and of the role reader when users leave and come back.

use super::*;
use crate::fixtures::{BlockingBackend, HOST, identity};
use crate::model::{ChatChange, ChatChoice, Command, ConnectionId, Draft, ErrorKind, Profile};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

/// A chat of Anna's with Boris as a member.
struct Scene {
    backend: BlockingBackend,
    chat: ChatRef,
    anna: Identity,
    boris: Identity,
}

impl Scene {
    fn closed() -> Self {
        Self::of(|members| Command::CreateChat {
            chosen: ChatChoice::default(),
            name: None,
            members: members.into_iter().map(Into::into).collect(),
            key: None,
        })
    }

    fn open() -> Self {
        let scene = Self::of(|_| Command::CreateRoom {
            name: None,
            team: None,
        });
        for user in [scene.anna, scene.boris] {
            scene.does(user, scene.join());
        }
        scene
    }

    fn of(create: impl Fn(Vec<UserId>) -> Command) -> Self {
        let backend = BlockingBackend::open(at(100));
        let [anna, boris] = ["anna", "boris"].map(|name| {
            let user = backend.user(name, Profile::default());
            identity(user.id, ConnectionId::new(at(100)))
        });
        let users = [anna, boris].map(|identity| identity.user.expect("a user"));
        let chat = match backend.execute(&anna, create(users.to_vec())) {
            Ok(Reply::Chat(chat)) => chat.id,
            Ok(Reply::Room(room)) => room.chat.id,
            other => panic!("{other:?}"),
        };
        Self {
            chat: ChatRef::Id(chat),
            backend,
            anna,
            boris,
        }
    }

    fn does(&self, user: Identity, command: Command) -> Reply {
        let shown = format!("{command:?}");
        let done = self.backend.execute(&user, command);
        done.unwrap_or_else(|error| panic!("{shown}: {error}"))
    }

    fn refused(&self, user: Identity, command: Command) -> Error {
        let done = self.backend.execute(&user, command);
        done.expect_err("a refusal")
    }

    fn user(&self) -> UserId {
        self.boris.user.expect("a user")
    }

    fn join(&self) -> Command {
        let (chat, read) = (self.chat.clone(), None);
        Command::JoinChat { chat, read }
    }

    fn leave(&self) -> Command {
        Command::LeaveChat {
            chat: self.chat.clone(),
        }
    }

    fn add(&self) -> Command {
        let users = vec![self.user()];
        let chat = self.chat.clone();
        Command::AddMembers {
            chat,
            users: users.into_iter().map(Into::into).collect(),
        }
    }

    fn remove(&self) -> Command {
        let (chat, user) = (self.chat.clone(), self.user());
        Command::RemoveMember { chat, user }
    }

    fn mute(&self, term: SanctionTerm) -> Command {
        let (chat, user) = (self.chat.clone(), self.user());
        Command::MuteUser {
            chat,
            user: user.into(),
            term,
        }
    }

    fn role(&self, role: MemberRole) -> Command {
        let (chat, user) = (self.chat.clone(), self.user());
        Command::SetRole {
            chat,
            user: user.into(),
            role,
        }
    }

    fn send(&self) -> Command {
        let (user, draft) = (None, Draft::text("hello"));
        let chat = self.chat.clone();
        Command::SendMessage { user, chat, draft }
    }

    /// Whether those in the chat are notified of the mute only, or the user, too.
    fn muted_notices(&self) -> Vec<bool> {
        let notices = self.backend.notices().into_iter();
        let to_user = notices.filter_map(|notice| match &notice.fact {
            Fact::Muted(change) => Some(change.to_user),
            _ => None,
        });
        to_user.collect()
    }
}

#[test]
fn who_joins_an_open_chat_again_is_still_muted() {
    let scene = Scene::open();
    scene.does(scene.anna, scene.mute(SanctionTerm::Seconds(60)));
    for _ in 0..2 {
        scene.does(scene.boris, scene.leave());
        scene.does(scene.boris, scene.join());
        let muted = scene.refused(scene.boris, scene.send());
        assert_eq!(muted.kind, ErrorKind::Forbidden);
        assert_eq!(muted.retry_after_ms, Some(60_000));
    }
    scene.does(scene.boris, scene.leave());
    scene.backend.set_time(at(160));
    scene.does(scene.boris, scene.join());
    scene.does(scene.boris, scene.send());
}

#[test]
fn who_is_added_to_a_closed_chat_again_is_still_muted_and_a_reader() {
    let scene = Scene::closed();
    scene.does(scene.anna, scene.mute(SanctionTerm::Endless));
    for ending in [scene.remove(), scene.leave()] {
        let by = if matches!(ending, Command::LeaveChat { .. }) {
            scene.boris
        } else {
            scene.anna
        };
        scene.does(by, ending);
        scene.does(scene.anna, scene.add());
        let muted = scene.refused(scene.boris, scene.send());
        assert_eq!(muted.kind, ErrorKind::Forbidden);
        assert!(muted.message.contains("muted"), "{muted}");
    }
    scene.does(scene.anna, scene.role(MemberRole::Reader));
    scene.does(scene.anna, scene.mute(SanctionTerm::Lifted));
    scene.does(scene.anna, scene.remove());
    scene.does(HOST, scene.add());
    let reader = scene.refused(scene.boris, scene.send());
    assert!(reader.message.contains("readers"), "{reader}");
    // The rank of a moderator does not come back.
    scene.does(scene.anna, scene.role(MemberRole::Moderator));
    scene.does(scene.anna, scene.remove());
    scene.does(scene.anna, scene.add());
    let bans = Command::ListBans {
        chat: scene.chat.clone(),
    };
    assert_eq!(scene.refused(scene.boris, bans).kind, ErrorKind::Forbidden);
    scene.does(scene.boris, scene.send());
}

#[test]
fn a_mute_and_the_role_reader_are_set_and_lifted_without_a_membership() {
    let scene = Scene::closed();
    scene.does(scene.anna, scene.remove());
    scene.does(scene.anna, scene.mute(SanctionTerm::Endless));
    scene.does(scene.anna, scene.role(MemberRole::Reader));
    assert_eq!(scene.muted_notices(), [false], "the chat is hidden from it");
    let rank = scene.refused(scene.anna, scene.role(MemberRole::Moderator));
    assert_eq!(rank.kind, ErrorKind::NotFound);
    scene.does(scene.anna, scene.role(MemberRole::Member));
    scene.does(scene.anna, scene.add());
    let muted = scene.refused(scene.boris, scene.send());
    assert!(muted.message.contains("muted"), "{muted}");
    scene.does(scene.anna, scene.remove());
    scene.does(scene.anna, scene.mute(SanctionTerm::Lifted));
    scene.does(scene.anna, scene.mute(SanctionTerm::Lifted));
    assert_eq!(
        scene.muted_notices(),
        [false],
        "the second one changes nothing"
    );
    scene.does(scene.anna, scene.add());
    scene.does(scene.boris, scene.send());
    scene.does(scene.anna, scene.mute(SanctionTerm::Endless));
    assert_eq!(scene.muted_notices(), [true]);
}

#[test]
fn a_muted_moderator_neither_renames_nor_adds_nor_removes() {
    let scene = Scene::closed();
    let other = scene.backend.user("vera", Profile::default()).id;
    scene.does(scene.anna, scene.role(MemberRole::Moderator));
    scene.does(scene.anna, scene.mute(SanctionTerm::Seconds(60)));
    let chat = scene.chat.clone();
    let add = || Command::AddMembers {
        chat: chat.clone(),
        users: vec![other.into()],
    };
    let remove = || Command::RemoveMember {
        chat: chat.clone(),
        user: other,
    };
    let change = || Command::ChangeChat {
        chat: chat.clone(),
        change: ChatChange {
            policy: None,
            name: Some("hello".into()),
            team: None,
        },
    };
    let muted = |command| {
        let refused = scene.refused(scene.boris, command);
        assert_eq!(refused.kind, ErrorKind::Forbidden);
        assert_eq!(refused.retry_after_ms, Some(60_000), "{refused}");
    };
    muted(add());
    muted(change());
    scene.does(scene.anna, add());
    muted(remove());
    scene.backend.set_time(at(160));
    scene.does(scene.boris, remove());
    scene.does(scene.boris, add());
    scene.does(scene.boris, change());
    scene.backend.set_time(at(101));
    scene.does(scene.boris, scene.leave());
}
