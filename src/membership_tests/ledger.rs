//! The record of a run: each operation with the instants at which it began and was acknowledged,
//! and everything that each connection received.
//! Does not judge: `verdict` does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};

use super::frames::{self, Content};
use super::record::{
    Act, ChatNo, ChatRecord, ConnectionNo, ConnectionRecord, NoticeKey, Op, OpNo, Outcome, Shown,
    State, Tick, UserNo, Witnessed,
};
use crate::hub::Outgoing;
use crate::model::{ChatId, Error, ErrorKind, Fact, Notice, Policy, Reply, Seq};
use crate::telemetry::DialectLabel;

/// The record, shared by all tasks.
#[derive(Default)]
pub(super) struct Ledger {
    ticks: AtomicU64,
    state: Mutex<State>,
}

impl Ledger {
    pub(super) fn tick(&self) -> Tick {
        self.ticks.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Records a chat that is going to be created.
    pub(super) fn chat(&self, policy: Policy, of_event: bool) -> ChatNo {
        let mut state = self.state.lock();
        state.chats.push(ChatRecord {
            policy,
            of_event,
            id: None,
            changes: Vec::new(),
            sends: Vec::new(),
            messages: BTreeMap::new(),
            heads: Vec::new(),
        });
        state.chats.len() - 1
    }

    /// Records that an operation begins.
    pub(super) fn begin(
        &self,
        act: Act,
        chat: Option<ChatNo>,
        user: Option<UserNo>,
        connection: Option<ConnectionNo>,
    ) -> OpNo {
        let mut state = self.state.lock();
        let number = state.ops.len();
        if let Some(chat) = chat {
            let chat = &mut state.chats[chat];
            match act {
                Act::Create(_) | Act::Add(_) | Act::Remove(_) | Act::Delete => {
                    chat.changes.push(number);
                }
                Act::Send => chat.sends.push(number),
                _ => {}
            }
        }
        let step = state.step;
        state.ops.push(Op {
            step,
            act,
            chat,
            user,
            connection,
            begun: self.tick(),
            done: None,
            outcome: Outcome::Pending,
            seq: None,
        });
        state.pending.insert(number);
        number
    }

    /// Records that an operation has ended.
    pub(super) fn finish(&self, op: OpNo, outcome: Outcome, seq: Option<Seq>) {
        let mut state = self.state.lock();
        state.finish(op, outcome, self.tick());
        if let (Some(chat), Some(seq)) = (state.ops[op].chat, seq) {
            state.note_message(chat, op, seq);
        }
    }

    /// Records the outcome of an operation outside of any connection.
    pub(super) fn finish_with(&self, op: OpNo, reply: &Result<Reply, Error>) {
        let seq = match reply {
            Ok(Reply::Sent(sent)) => Some(sent.message().seq),
            _ => None,
        };
        let outcome = match reply {
            Ok(_) => Outcome::Done,
            // The store has not answered in time: it may have done it.
            Err(error) if error.kind == ErrorKind::Unavailable => Outcome::Lost,
            Err(error) => Outcome::Refused(Some(error.kind)),
        };
        self.finish(op, outcome, seq);
    }

    /// Records the id and the number of a chat.
    pub(super) fn created(&self, chat: ChatNo, id: ChatId, pk: i64) {
        let mut state = self.state.lock();
        state.chats[chat].id = Some((id, pk));
        state.ids.insert(id.to_string(), chat);
        state.ids.insert(pk.to_string(), chat);
    }

    /// Records that the chat had this head at an instant.
    pub(super) fn head(&self, chat: ChatNo, head: Seq, at: Tick) {
        let mut state = self.state.lock();
        // A deleted chat has none.
        if !state.may_be_deleted(chat) {
            state.chats[chat].heads.push((head, at));
        }
    }

    /// Records that a connection is being opened.
    pub(super) fn connect(&self, dialect: DialectLabel, user: UserNo) -> ConnectionNo {
        let begun = self.tick();
        let mut state = self.state.lock();
        state.connections.push(ConnectionRecord {
            dialect,
            begun,
            opened: None,
            closed: false,
            user,
            listens: BTreeMap::new(),
            live: BTreeMap::new(),
            since: BTreeMap::new(),
            replayed: BTreeSet::new(),
        });
        state.connections.len() - 1
    }

    /// Records after which seqs a connection is sent the missed messages.
    pub(super) fn replays(&self, connection: ConnectionNo, since: BTreeMap<ChatNo, Seq>) {
        let record = &mut self.state.lock().connections[connection];
        record.replayed = since.keys().copied().collect();
        record.since = since;
    }

    /// Records that a connection is open.
    pub(super) fn opened(&self, connection: ConnectionNo) {
        let tick = self.tick();
        self.state.lock().connections[connection].opened = Some(tick);
    }

    /// Records that a connection has ended. Its requests may be executed all the same.
    pub(super) fn closed(&self, connection: ConnectionNo) {
        let mut state = self.state.lock();
        let state = &mut *state;
        state.connections[connection].closed = true;
        let ops = &state.ops;
        let is_lost = |op: &OpNo| ops[*op].connection == Some(connection);
        state.lost.extend(state.pending.extract_if(is_lost));
    }

    /// Records a frame that a connection received.
    pub(super) fn received(&self, connection: ConnectionNo, frame: &Outgoing) {
        let mut state = self.state.lock();
        let content = frames::read(state.connections[connection].dialect, frame);
        state.received(connection, &content, self.tick());
    }

    /// Records that a notice is published.
    pub(super) fn published(&self, notice: &Notice) {
        if let Some(key) = key(&notice.fact) {
            let tick = self.tick();
            let mut state = self.state.lock();
            state.published.entry(key).or_insert(tick);
        }
    }

    /// Records that a notice was encoded for a connection.
    pub(super) fn witnessed(&self, connection: ConnectionNo, notice: &Notice) {
        let mut state = self.state.lock();
        let (seq, kind, published) = match (&notice.fact, key(&notice.fact)) {
            (Fact::MessageSent(message), _) => (Some(message.seq), "message", 0),
            (_, Some(key)) => match state.published.get(&key) {
                Some(tick) => (None, key.1, *tick),
                None => return,
            },
            _ => return,
        };
        let Some(chat) = notice.fact.chat() else {
            return;
        };
        let user = state.connections[connection].user;
        state.witnessed.push(Witnessed {
            connection,
            tick: self.tick(),
            user,
            chat,
            kind,
            seq,
            published,
        });
    }
}

fn key(fact: &Fact) -> Option<NoticeKey> {
    let (kind, number) = match fact {
        Fact::ChatCreated(_) => ("creation", 0),
        Fact::MemberJoined(change) => ("join", change.version),
        Fact::MemberLeft(change) => ("removal", change.version),
        Fact::MembersListed(listed) => ("members", listed.version),
        Fact::ChatChanged(room) => {
            let op = room.chat.name.as_deref().and_then(frames::op_of_name);
            ("change", i64::try_from(op?).expect("a small number"))
        }
        _ => return None,
    };
    Some((fact.chat()?, kind, number))
}

impl State {
    /// Ends the operations of connections that ended: no request is being executed.
    pub(super) fn finish_lost(&mut self, tick: Tick) {
        for op in std::mem::take(&mut self.lost) {
            self.finish(op, Outcome::Lost, tick);
        }
    }

    fn finish(&mut self, op: OpNo, outcome: Outcome, tick: Tick) {
        self.pending.remove(&op);
        let op = &mut self.ops[op];
        op.done = Some(tick);
        op.outcome = outcome;
    }

    fn note_message(&mut self, chat: ChatNo, op: OpNo, seq: Seq) {
        self.ops[op].seq = Some(seq);
        let known = *self.chats[chat].messages.entry(seq).or_insert(op);
        if known != op {
            let wrong = format!("chat {chat} has two messages {seq}: of #{known} and #{op}");
            self.wrong.push(wrong);
        }
    }

    fn received(&mut self, connection: ConnectionNo, content: &Content, tick: Tick) {
        let mut shown: BTreeMap<ChatNo, (Option<Seq>, Option<OpNo>)> = BTreeMap::new();
        for (op, seq) in &content.messages {
            let Some(chat) = self.ops[*op].chat else {
                continue;
            };
            self.note_message(chat, *op, *seq);
            if content.is_live {
                let is_own = self.ops[*op].connection == Some(connection);
                let record = &mut self.connections[connection];
                let live = record.live.entry(chat).or_default();
                // The answer to an own message stands for it in the type dialect. One that the relay
                // reads from the store before its sender is answered comes as a message, too.
                if record.dialect != DialectLabel::Type || !is_own || !live.contains(seq) {
                    live.push(*seq);
                }
            }
            let latest = &mut shown.entry(chat).or_default().0;
            *latest = (*latest).max(Some(*seq));
        }
        for op in &content.names {
            if let Some(chat) = self.ops[*op].chat {
                let name = &mut shown.entry(chat).or_default().1;
                *name = (*name).max(Some(*op));
            }
        }
        for (name, head) in &content.chats {
            if let Some(chat) = self.ids.get(name) {
                let latest = &mut shown.entry(*chat).or_default().0;
                *latest = (*latest).max(*head);
                if content.answer.is_none() {
                    // It has to `sync` the rest.
                    self.connections[connection].since.remove(chat);
                }
            }
        }
        let answer = content.answer.filter(|(op, _)| self.pending.contains(op));
        if let Some((op, succeeded)) = answer {
            self.answered(connection, op, succeeded, tick, &shown);
        }
        let user = self.connections[connection].user;
        let shown = shown.into_iter().map(|(chat, (latest, name))| Shown {
            connection,
            tick,
            user,
            answers: answer.map(|(op, _)| op),
            chat,
            latest,
            name,
        });
        self.shown.extend(shown);
    }

    fn answered(
        &mut self,
        connection: ConnectionNo,
        op: OpNo,
        succeeded: bool,
        tick: Tick,
        shown: &BTreeMap<ChatNo, (Option<Seq>, Option<OpNo>)>,
    ) {
        let outcome = if succeeded {
            Outcome::Done
        } else {
            Outcome::Refused(None)
        };
        self.finish(op, outcome, tick);
        let Op {
            act, chat, begun, ..
        } = &self.ops[op];
        let record = &mut self.connections[connection];
        match (act, chat) {
            (Act::Bind, _) => record.opened = Some(tick),
            (Act::Listen, Some(chat)) if succeeded => {
                record.listens.entry(*chat).or_insert(tick);
            }
            (Act::Read, Some(chat)) if succeeded => {
                let latest = shown.get(chat).and_then(|(latest, _)| *latest);
                let head = (latest.unwrap_or(0), *begun);
                self.chats[*chat].heads.push(head);
            }
            _ => {}
        }
    }
}
