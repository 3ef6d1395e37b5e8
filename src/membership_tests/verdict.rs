//! The rules: what a connection may have received, given which users may have been members when.
//! Every rule allows for the intervals in which an operation may have taken effect.

use std::collections::BTreeMap;

use super::record::{
    Act, ChatNo, ChatRecord, ConnectionNo, Op, OpNo, Outcome, State, Tick, UserNo, Witnessed,
};
use crate::model::{Policy, Seq};
use crate::telemetry::DialectLabel;

/// A broken rule.
#[derive(Debug)]
pub(super) struct Violation {
    pub(super) rule: String,
    pub(super) chat: Option<ChatNo>,
    pub(super) connection: Option<ConnectionNo>,
}

/// Messages that a connection has not received yet.
#[derive(Debug)]
pub(super) struct Missing(pub(super) Violation);

impl Op {
    fn adds(&self, user: UserNo) -> bool {
        match &self.act {
            Act::Create(members) => members.contains(&user),
            Act::Add(added) => *added == user,
            _ => false,
        }
    }

    fn removes(&self, user: UserNo) -> bool {
        self.act == Act::Remove(user)
    }

    /// Whether it had ended before an instant, whatever its outcome.
    fn is_over(&self, at: Tick) -> bool {
        self.done.is_some_and(|done| done < at)
    }

    fn is_done(&self) -> bool {
        self.outcome == Outcome::Done
    }
}

impl State {
    fn changes<'a>(&'a self, chat: &'a ChatRecord) -> impl Iterator<Item = &'a Op> {
        chat.changes.iter().map(|op| &self.ops[*op])
    }

    /// Whether the user was certainly no member at any instant from `from` to `until`.
    fn is_absent(&self, chat: ChatNo, user: UserNo, from: Tick, until: Tick) -> bool {
        let chat = &self.chats[chat];
        let removals = self.changes(chat).filter(|op| op.removes(user));
        let removals = removals.filter(|op| op.is_done() && op.is_over(from));
        // Nobody is a member at first.
        let left = removals.map(|op| op.begun).max().unwrap_or(0);
        let mut adds = self.changes(chat).filter(|op| op.adds(user));
        adds.all(|op| op.is_over(left) || op.begun > until)
    }

    /// Since when the user is certainly a member, up to `until`.
    fn present_since(&self, chat: ChatNo, user: UserNo, until: Tick) -> Option<Tick> {
        let chat = &self.chats[chat];
        let adds = self
            .changes(chat)
            .filter(|op| op.adds(user) && op.is_done());
        let certain = adds.filter(|add| {
            let mut removals = self.changes(chat).filter(|op| op.removes(user));
            removals.all(|op| op.is_over(add.begun) || op.begun > until)
        });
        certain.filter_map(|op| op.done).min()
    }

    fn is_deleted(&self, chat: ChatNo, at: Tick) -> bool {
        let deleted = |op: &Op| op.act == Act::Delete && op.is_done() && op.is_over(at);
        self.changes(&self.chats[chat]).any(deleted)
    }

    /// Judges what was received since the last time. Everything that had begun is over.
    pub(super) fn judge(&mut self, now: Tick) -> Result<(), Violation> {
        let stored = self.chats.iter().map(|chat| self.stored(chat));
        let stored: Vec<_> = stored.collect();
        if let Some(rule) = self.wrong.first() {
            return Err(Violation {
                rule: rule.clone(),
                chat: None,
                connection: None,
            });
        }
        self.judge_shown(&stored)?;
        self.judge_witnessed(&stored)?;
        for number in self.judged..self.ops.len() {
            self.judge_send(number, &stored)?;
        }
        self.judged = self.ops.len();
        self.shown.clear();
        self.witnessed.clear();
        self.judge_order(now)?;
        if let Some(Missing(violation)) = self.missing(now) {
            return Err(violation);
        }
        Ok(())
    }

    /// The earliest instant at which each message was stored: after it and those before it were
    /// sent, and after each read that did not find it. The last entry up to a seq counts.
    fn stored(&self, chat: &ChatRecord) -> BTreeMap<Seq, Tick> {
        let mut stored: BTreeMap<Seq, Tick> = BTreeMap::new();
        let begun = chat.messages.iter();
        let begun = begun.map(|(seq, op)| (*seq, self.ops[*op].begun));
        let heads = chat.heads.iter().map(|(head, at)| (head + 1, *at));
        for (seq, tick) in begun.chain(heads) {
            let known = stored.entry(seq).or_default();
            *known = (*known).max(tick);
        }
        let mut latest = 0;
        for tick in stored.values_mut() {
            latest = latest.max(*tick);
            *tick = latest;
        }
        stored
    }

    fn judge_shown(&self, stored: &[BTreeMap<Seq, Tick>]) -> Result<(), Violation> {
        for shown in &self.shown {
            let chat = shown.chat;
            let violation = |rule: String| Violation {
                rule,
                chat: Some(chat),
                connection: Some(shown.connection),
            };
            let answered = shown.answers.map(|op| &self.ops[op]);
            if let Some(op) = answered
                && self.is_deleted(chat, op.begun)
            {
                let rule = format!("an answer at {} shows a deleted chat: {op:?}", shown.tick);
                return Err(violation(rule));
            }
            if self.chats[chat].policy == Policy::Open {
                continue;
            }
            let user = answered.and_then(|op| op.user).unwrap_or(shown.user);
            let latest = shown.latest.map(|seq| after(&stored[chat], seq));
            let name = shown.name.map(|op| self.ops[op].begun);
            let request = answered.map(|op| op.begun);
            let from = latest.max(name).max(request).unwrap_or(0);
            if self.is_absent(chat, user, from, shown.tick) {
                let rule = format!(
                    "a frame at {} for user {user} shows the chat as it was after {from}: message {:?}, name of {:?}, answer to {answered:?}",
                    shown.tick, shown.latest, shown.name
                );
                return Err(violation(rule));
            }
        }
        Ok(())
    }

    fn judge_witnessed(&self, stored: &[BTreeMap<Seq, Tick>]) -> Result<(), Violation> {
        for witnessed in &self.witnessed {
            let Some(chat) = self.ids.get(&witnessed.chat.to_string()).copied() else {
                continue;
            };
            if self.chats[chat].policy == Policy::Open && witnessed.seq.is_none() {
                continue;
            }
            let message = witnessed.seq.map(|seq| after(&stored[chat], seq));
            let from = message.unwrap_or(witnessed.published);
            if self.is_absent(chat, witnessed.user, from, witnessed.tick) {
                let Witnessed {
                    kind, tick, user, ..
                } = witnessed;
                let seq = witnessed.seq.map_or(String::new(), |seq| format!(" {seq}"));
                let rule =
                    format!("{kind}{seq} of after {from} was delivered to user {user} at {tick}");
                return Err(Violation {
                    rule,
                    chat: Some(chat),
                    connection: Some(witnessed.connection),
                });
            }
        }
        Ok(())
    }

    /// A message is stored if and only if its sender is a member.
    fn judge_send(&self, number: OpNo, stored: &[BTreeMap<Seq, Tick>]) -> Result<(), Violation> {
        let op = &self.ops[number];
        let (Act::Send, Some(chat), Some(user), Some(done)) = (&op.act, op.chat, op.user, op.done)
        else {
            return Ok(());
        };
        let violation = |rule: &str| {
            Err(Violation {
                rule: format!("#{number} {rule}: {op:?}"),
                chat: Some(chat),
                connection: op.connection,
            })
        };
        if matches!(op.outcome, Outcome::Refused(_)) {
            let since = self.present_since(chat, user, done);
            let is_member = since.is_some_and(|since| since < op.begun);
            if is_member && !self.may_be_deleted(chat) {
                return violation("refuses a member's message");
            }
        }
        if let Some(seq) = op.seq {
            let from = op.begun.max(after(&stored[chat], seq));
            if self.is_absent(chat, user, from, done) {
                return violation(&format!("was stored after {from}, its sender is no member"));
            }
        }
        if op.is_done() && self.is_deleted(chat, op.begun) {
            return violation("was stored in a deleted chat");
        }
        Ok(())
    }

    /// No message is delivered twice to a connection, except where its user joined meanwhile: what
    /// was missed there is sent up to the latest message (docs/RECONNECTING.md).
    fn judge_order(&self, now: Tick) -> Result<(), Violation> {
        let open = self.connections.iter().enumerate();
        for (number, connection) in open.filter(|(_, connection)| !connection.closed) {
            for (chat, live) in &connection.live {
                let member = self.present_since(*chat, connection.user, now);
                let is_member = member.is_some_and(|since| since < connection.begun);
                if connection.replayed.contains(chat) && !is_member {
                    continue;
                }
                let mut seqs = live.clone();
                seqs.sort_unstable();
                if let Some([twice, _]) = seqs.windows(2).find(|pair| pair[0] == pair[1]) {
                    return Err(Violation {
                        rule: format!("message {twice} was delivered twice: {live:?}"),
                        chat: Some(*chat),
                        connection: Some(number),
                    });
                }
            }
        }
        Ok(())
    }

    /// A request without an answer, while not everything is over.
    pub(super) fn unanswered(&self) -> Missing {
        let op = self.pending.iter().next().map(|op| &self.ops[*op]);
        Missing(Violation {
            rule: format!("no answer: {op:?}"),
            chat: op.and_then(|op| op.chat),
            connection: op.and_then(|op| op.connection),
        })
    }

    /// Messages that were not delivered to a member, or not in order.
    pub(super) fn missing(&self, now: Tick) -> Option<Missing> {
        let open = self.connections.iter().enumerate();
        let mut open = open.filter(|(_, connection)| !connection.closed);
        open.find_map(|(number, connection)| {
            let opened = connection.opened?;
            (0..self.chats.len()).find_map(|chat| {
                if self.may_be_deleted(chat) {
                    return None;
                }
                let listens = match connection.dialect {
                    DialectLabel::Action => *connection.listens.get(&chat)?,
                    DialectLabel::Marketplace if !self.chats[chat].of_event => return None,
                    _ => opened,
                };
                let member = self.present_since(chat, connection.user, now)?;
                let messages = &self.chats[chat].messages;
                let missed = connection.since.get(&chat);
                let first = if let Some(since) = missed.filter(|_| member < connection.begun) {
                    since + 1
                } else {
                        let from = opened.max(listens).max(member);
                        let begun = |(_, op): &(&Seq, &OpNo)| self.ops[**op].begun > from;
                        *messages.iter().find(begun)?.0
                };
                let live = connection.live.get(&chat).map_or(&[][..], Vec::as_slice);
                let received = live.iter().copied().filter(|seq| *seq >= first);
                let received: Vec<_> = received.collect();
                let head = messages.last_key_value().map_or(0, |(seq, _)| *seq);
                let expected: Vec<_> = (first..=head).collect();
                (received != expected).then(|| {
                    let user = connection.user;
                    Missing(Violation {
                        rule: format!(
                            "user {user} is a member since {member} and was sent {received:?} instead of {first}..={head}"
                        ),
                        chat: Some(chat),
                        connection: Some(number),
                    })
                })
            })
        })
    }

    /// The operations that concern a violation, the latest of them.
    pub(super) fn history(&self, violation: &Violation) -> String {
        const LATEST: usize = 40;
        let connection = violation.connection;
        let concerned = self.ops.iter().enumerate().filter(|(_, op)| {
            let own = connection.is_some() && op.connection == connection;
            let of_chat = op.chat.is_some() && op.chat == violation.chat;
            match op.act {
                Act::Read | Act::Look | Act::Listen | Act::Watch => own && of_chat,
                Act::Bind => own,
                _ => of_chat,
            }
        });
        let lines: Vec<_> = concerned
            .map(|(number, op)| {
                let done = op.done.map_or("…".to_owned(), |done| done.to_string());
                let seq = op.seq.map_or(String::new(), |seq| format!(" = message {seq}"));
                format!(
                    "[{}..{done}] step {} #{number} {:?} by user {:?} on connection {:?}: {:?}{seq}",
                    op.begun, op.step, op.act, op.user, op.connection, op.outcome
                )
            })
            .collect();
        let chat = violation.chat.map(|chat| &self.chats[chat]);
        let place = chat.map(|chat| (chat.policy, chat.of_event));
        let user = connection.map(|number| {
            let connection = &self.connections[number];
            (
                connection.dialect.name(),
                connection.user,
                connection.begun,
                connection.opened,
            )
        });
        format!(
            "{}\nchat {:?} {place:?}, connection {connection:?} {user:?}\n{}",
            violation.rule,
            violation.chat,
            lines[lines.len().saturating_sub(LATEST)..].join("\n")
        )
    }
}

/// The instant after which the message of this seq was stored.
fn after(stored: &BTreeMap<Seq, Tick>, seq: Seq) -> Tick {
    let latest = stored.range(..=seq).next_back();
    latest.map_or(0, |(_, tick)| *tick)
}
