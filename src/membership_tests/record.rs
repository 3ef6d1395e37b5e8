//! The nouns of a run: operations, chats, connections, and what connections received.
//! Does not record and does not judge: `ledger` and `verdict` do.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::model::{ChatId, ErrorKind, Policy, Seq};
use crate::telemetry::DialectLabel;

/// An instant: a number that grows.
pub(super) type Tick = u64;

/// The number of an operation, of a user, of a chat, of a connection.
pub(super) type OpNo = usize;
pub(super) type UserNo = usize;
pub(super) type ChatNo = usize;
pub(super) type ConnectionNo = usize;

/// How many users there are.
pub(super) const USERS: usize = 6;

/// The user that is a member of every chat that is no event's.
pub(super) const HOST_MEMBER: UserNo = 0;

/// The purpose of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    /// Creates a chat with these members.
    Create(Vec<UserNo>),
    /// Makes this user a member.
    Add(UserNo),
    /// Ends the membership of this user.
    Remove(UserNo),
    Send,
    Rename,
    Delete,
    /// Reads the latest messages.
    Read,
    /// Reads something else.
    Look,
    /// Subscribes to the messages, or to the room.
    Listen,
    /// Subscribes to the room without its messages.
    Watch,
    /// Binds the connection, which has no user yet.
    Bind,
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Pending,
    Done,
    /// With this error, if the host application requested it.
    Refused(Option<ErrorKind>),
    /// The connection ended before the answer, or the store did not answer: it may have been done.
    Lost,
}

/// A request, of a connection or of the host application.
#[derive(Debug, Clone)]
pub(super) struct Op {
    pub(super) step: usize,
    pub(super) act: Act,
    pub(super) chat: Option<ChatNo>,
    /// The acting user.
    pub(super) user: Option<UserNo>,
    pub(super) connection: Option<ConnectionNo>,
    pub(super) begun: Tick,
    pub(super) done: Option<Tick>,
    pub(super) outcome: Outcome,
    /// Of a message.
    pub(super) seq: Option<Seq>,
}

/// A chat, and the operations on it.
#[derive(Debug)]
pub(super) struct ChatRecord {
    pub(super) policy: Policy,
    pub(super) of_event: bool,
    /// Its id and its number, once it is created.
    pub(super) id: Option<(ChatId, i64)>,
    /// Those that change members or delete it.
    pub(super) changes: Vec<OpNo>,
    pub(super) sends: Vec<OpNo>,
    /// The operations of the messages that were received.
    pub(super) messages: BTreeMap<Seq, OpNo>,
    /// Reads that began at an instant and found this head: later messages were stored after it.
    pub(super) heads: Vec<(Seq, Tick)>,
}

/// A connection.
#[derive(Debug)]
pub(super) struct ConnectionRecord {
    pub(super) dialect: DialectLabel,
    pub(super) begun: Tick,
    /// Since when it is open as its user.
    pub(super) opened: Option<Tick>,
    pub(super) closed: bool,
    pub(super) user: UserNo,
    /// Since when its client is subscribed to messages.
    pub(super) listens: BTreeMap<ChatNo, Tick>,
    /// The seqs of the messages delivered, in their order.
    pub(super) live: BTreeMap<ChatNo, Vec<Seq>>,
    /// The seqs after which it was sent the missed messages when it connected.
    pub(super) since: BTreeMap<ChatNo, Seq>,
    /// The chats of which it requested them.
    pub(super) replayed: BTreeSet<ChatNo>,
}

/// A frame that a connection received, as far as it shows a chat.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) connection: ConnectionNo,
    pub(super) tick: Tick,
    pub(super) user: UserNo,
    pub(super) answers: Option<OpNo>,
    pub(super) chat: ChatNo,
    /// The latest message in it, or the head.
    pub(super) latest: Option<Seq>,
    /// The latest operation whose name is in it.
    pub(super) name: Option<OpNo>,
}

/// A notice that was encoded for a connection.
#[derive(Debug)]
pub(super) struct Witnessed {
    pub(super) connection: ConnectionNo,
    pub(super) tick: Tick,
    pub(super) user: UserNo,
    pub(super) chat: ChatId,
    pub(super) kind: &'static str,
    /// Of a message.
    pub(super) seq: Option<Seq>,
    /// When another notice was published.
    pub(super) published: Tick,
}

/// Identifies a notice that is no message.
pub(super) type NoticeKey = (ChatId, &'static str, i64);

/// All that is recorded.
#[derive(Default)]
pub(super) struct State {
    pub(super) ops: Vec<Op>,
    pub(super) chats: Vec<ChatRecord>,
    pub(super) connections: Vec<ConnectionRecord>,
    /// Not judged yet.
    pub(super) shown: Vec<Shown>,
    pub(super) witnessed: Vec<Witnessed>,
    /// From which operation on they are to be judged.
    pub(super) judged: OpNo,
    pub(super) pending: HashSet<OpNo>,
    /// The operations of connections that ended before the answer.
    pub(super) lost: Vec<OpNo>,
    pub(super) ids: HashMap<String, ChatNo>,
    pub(super) published: HashMap<NoticeKey, Tick>,
    pub(super) step: usize,
    /// What was wrong at once.
    pub(super) wrong: Vec<String>,
}

impl State {
    /// Whether the deletion of the chat may have begun.
    pub(super) fn may_be_deleted(&self, chat: ChatNo) -> bool {
        let mut changes = self.chats[chat].changes.iter();
        changes.any(|op| self.ops[*op].act == Act::Delete)
    }
}
