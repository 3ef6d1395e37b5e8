//! The body of a notice: as much of a fact as other nodes cannot have from the header, or would have to read from
//! the store for each message.
//! Does not know batches.
//!
//! A body is the document `{v: version, o: origin, c: content}`; `c` is absent where the store has the rest. A change
//! of any field of any content makes a new version: nodes before it read the store instead, once the header names a
//! chat. Only the fields of the newest version are written.

use std::ops::RangeInclusive;
use std::sync::Arc;

use mongodb::bson::RawDocumentBuf;
use mongodb::bson::raw::cstr;

use super::fields::{Fields, date};
use super::members::{
    membership, read_membership, read_role_change, read_sanction_change, role_change,
    sanction_change,
};
use super::messages::{message, read_message};
use super::users::origin;
use super::{Content, Header, Hint, HintKind, Kind, RemoteNotice, UnknownContent};
use crate::model::{ChatId, Fact, Message, Notice, Origin, UserId};

/// The version of the bodies that this node sends. A build with `--cfg next_wire` stands for the next version: each
/// of its bodies and headers has one more field.
pub const VERSION: i64 = if cfg!(next_wire) { 2 } else { 1 };

/// The versions of bodies that this node reads.
pub const VERSIONS: RangeInclusive<i64> = 1..=VERSION;

/// The largest body that carries a message, in bytes.
pub(super) const LARGEST: usize = 4096;

impl RemoteNotice {
    /// The notice as other nodes get it.
    pub(in crate::bus) fn of(notice: &Notice) -> Self {
        let mut body = encode(notice.origin, content(&notice.fact));
        if body.len() > LARGEST && matches!(notice.fact, Fact::MessageSent(_)) {
            body = encode(notice.origin, None);
        }
        Self {
            header: Header::of(&notice.fact),
            body,
        }
    }

    /// The others may have missed something about this chat; `None`: about any.
    pub(in crate::bus) const fn owed(chat: Option<ChatId>) -> Self {
        Self::without_body(Kind::Owed, chat)
    }

    /// This node has ended in order.
    pub(in crate::bus) const fn bye() -> Self {
        Self::without_body(Kind::Bye, None)
    }

    const fn without_body(kind: Kind, chat: Option<ChatId>) -> Self {
        let header = Header {
            kind,
            chat,
            users: None,
            seq: None,
        };
        Self {
            header,
            body: Vec::new(),
        }
    }

    /// What it says. A kind or a body of a later version, and [`Kind::Owed`], is a [`HintKind::Unknown`].
    ///
    /// # Errors
    /// The body is damaged; or it would be such a hint, and the header names no chat: anything may have changed.
    pub fn content(&self) -> Result<Content, UnknownContent> {
        let Some(body) = self.known_body()? else {
            return self.hint(HintKind::Unknown, None);
        };
        let origin = body.find("o")?;
        let Some(fact) = self.fact(body.find("c")?)? else {
            return self.hint(hint_kind(self.header.kind), origin);
        };
        Ok(Content::Notice(Box::new(Notice {
            origin,
            fact,
            durable: None,
        })))
    }

    /// The body; `None`: this version knows none of the kind, or the body is of a later one.
    fn known_body(&self) -> Result<Option<Fields<'_>>, UnknownContent> {
        if !has_body(self.header.kind) {
            return Ok(None);
        }
        let body = Fields::of_bytes(&self.body)?;
        let version: i64 = body.get("v")?;
        if version > VERSION {
            return Ok(None);
        }
        if !VERSIONS.contains(&version) {
            return Err(UnknownContent(format!("a body of version {version}")));
        }
        if version > 1 {
            let _: bool = body.get("z")?;
        }
        Ok(Some(body))
    }

    fn hint(&self, kind: HintKind, origin: Option<Origin>) -> Result<Content, UnknownContent> {
        let chat = self.chat()?;
        Ok(Content::Hint(Hint { kind, chat, origin }))
    }

    /// The fact; `None`: the store has the rest of it.
    fn fact(&self, content: Option<Fields<'_>>) -> Result<Option<Fact>, UnknownContent> {
        let whole = || content.ok_or_else(|| self.without("content"));
        Ok(Some(match self.header.kind {
            Kind::MessageSent => {
                let Some(content) = content else {
                    return Ok(None);
                };
                let seq = self.header.seq.ok_or_else(|| self.without("seq"))?;
                Fact::MessageSent(Arc::new(read_message(content, self.chat()?, seq)?))
            }
            Kind::MemberJoined => {
                Fact::MemberJoined(Arc::new(read_membership(whole()?, self.chat()?)?))
            }
            Kind::MemberLeft => {
                Fact::MemberLeft(Arc::new(read_membership(whole()?, self.chat()?)?))
            }
            Kind::ChatDeleted => Fact::ChatDeleted {
                chat: self.chat()?,
                pk: whole()?.get("pk")?,
            },
            Kind::RoleSet => Fact::RoleSet(Arc::new(read_role_change(whole()?, self.chat()?)?)),
            Kind::Muted => Fact::Muted(Arc::new(read_sanction_change(whole()?, self.chat()?)?)),
            Kind::Banned => Fact::Banned(Arc::new(read_sanction_change(whole()?, self.chat()?)?)),
            Kind::MembersUncertain => Fact::MembersUncertain(self.chat()?),
            Kind::CreationUncertain => Fact::CreationUncertain(self.chat()?),
            Kind::DeletionUncertain => Fact::DeletionUncertain {
                chat: self.chat()?,
                pk: whole()?.get("pk")?,
            },
            Kind::Disconnected => Fact::Disconnected(self.user()?),
            Kind::TokensRevoked => Fact::TokensRevoked {
                user: self.user()?,
                before: whole()?.get("before")?,
            },
            Kind::UserChanged => Fact::UserChanged {
                user: self.user()?,
                external_id: whole()?.get::<&str>("ext")?.into(),
            },
            _ => return Ok(None),
        }))
    }

    fn chat(&self) -> Result<ChatId, UnknownContent> {
        self.header.chat.ok_or_else(|| self.without("chat"))
    }

    /// The only user.
    fn user(&self) -> Result<UserId, UnknownContent> {
        match self.header.users.as_deref() {
            Some([user]) => Ok(*user),
            _ => Err(self.without("user")),
        }
    }

    fn without(&self, noun: &str) -> UnknownContent {
        let number = self.header.kind.number();
        UnknownContent(format!("a notice of kind {number} without a {noun}"))
    }
}

fn encode(from: Option<Origin>, content: Option<RawDocumentBuf>) -> Vec<u8> {
    let mut body = RawDocumentBuf::new();
    body.append(cstr!("v"), VERSION);
    if let Some(from) = from {
        body.append(cstr!("o"), origin(from));
    }
    if let Some(content) = content {
        body.append(cstr!("c"), &content);
    }
    if cfg!(next_wire) {
        body.append(cstr!("z"), true);
    }
    body.into_bytes()
}

/// What is carried of a fact beside the header; `None`: nothing, or the store has the rest.
fn content(fact: &Fact) -> Option<RawDocumentBuf> {
    let mut fields = RawDocumentBuf::new();
    match fact {
        Fact::MessageSent(sent) => return may_fit(sent).then(|| message(sent)),
        Fact::MemberJoined(of) | Fact::MemberLeft(of) => return Some(membership(of)),
        Fact::RoleSet(change) => return Some(role_change(change)),
        Fact::Muted(change) | Fact::Banned(change) => return Some(sanction_change(change)),
        Fact::ChatDeleted { chat: _, pk } | Fact::DeletionUncertain { chat: _, pk } => {
            fields.append(cstr!("pk"), *pk);
        }
        Fact::TokensRevoked { user: _, before } => fields.append(cstr!("before"), date(*before)),
        Fact::UserChanged {
            user: _,
            external_id,
        } => fields.append(cstr!("ext"), &**external_id),
        Fact::ChatCreated(_)
        | Fact::MembersListed(_)
        | Fact::ChatChanged(_)
        | Fact::EventChatOpened(_)
        | Fact::AccessChanged(_)
        | Fact::ReadMoved(_)
        | Fact::MembersConfirmed(_)
        | Fact::MembersUncertain(_)
        | Fact::CreationUncertain(_)
        | Fact::Disconnected(_) => return None,
    }
    Some(fields)
}

/// Whether a message may fit into a body: the text alone is not too long.
const fn may_fit(message: &Message) -> bool {
    message.text.len() <= LARGEST
}

/// Whether this version has a body for notices of this kind.
const fn has_body(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::MessageChanged | Kind::Owed | Kind::Bye | Kind::Over | Kind::Unknown(_)
    )
}

/// The hint to what the store has of a notice of this kind.
const fn hint_kind(kind: Kind) -> HintKind {
    match kind {
        Kind::MessageSent => HintKind::MessageSent,
        Kind::ChatCreated => HintKind::ChatCreated,
        Kind::MembersListed => HintKind::MembersListed,
        Kind::ChatChanged => HintKind::ChatChanged,
        Kind::EventChatOpened => HintKind::EventChatOpened,
        Kind::AccessChanged => HintKind::AccessChanged,
        Kind::ReadMoved => HintKind::ReadMoved,
        Kind::MembersConfirmed => HintKind::MembersConfirmed,
        _ => HintKind::Unknown,
    }
}
