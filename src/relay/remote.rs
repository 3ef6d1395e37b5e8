//! Notices of other nodes: what needs the store is completed in its place among the notices of its chat, and what may
//! have been lost is compared with the store.
//! Does not drop what is cached: [`Remote`](crate::service::Remote) does.

use std::sync::Arc;

use tracing::{info, warn};

use super::RETRY;
use super::compare::{Changed, Differences, Extent, Step};
use super::dispatcher::Dispatcher;
use super::incomplete::{Completed, Completion, Doubtful, Incomplete};
use crate::bus::{Content, Header, Hint, HintKind, Kind, RemoteNotice, Scope};
use crate::hub::Lookup;
use crate::model::{ChatId, EventChat, Fact, Membership, Notice};

impl Dispatcher {
    /// Delivers notices of other nodes, or queues them.
    pub(super) async fn dispatch_remote(&mut self, notices: Vec<RemoteNotice>) {
        let mut complete = Vec::new();
        for notice in notices {
            self.relay.remote.changed(&notice.header).await;
            let concerns = self.concerns(&notice.header);
            self.relay.metrics.received_notice(concerns);
            if !concerns {
                continue;
            }
            match notice.content() {
                Ok(Content::Notice(notice)) => {
                    self.relay.remote.noticed(&notice.fact).await;
                    let joined = match &notice.fact {
                        Fact::MemberJoined(membership) => Some(membership.user.id),
                        _ => None,
                    };
                    let joined = joined.filter(|user| self.relay.hub.has_any(&[*user]));
                    match (joined, notice.fact.chat()) {
                        (Some(user), Some(chat)) => {
                            self.dispatch(std::mem::take(&mut complete));
                            let joined = Incomplete::Joined(Arc::from(notice), user);
                            self.take_incomplete(chat, joined);
                        }
                        _ => complete.push(Arc::from(notice)),
                    }
                }
                Ok(Content::Hint(hint)) => {
                    self.dispatch(std::mem::take(&mut complete));
                    self.take_hint(hint);
                }
                Err(error) => {
                    warn!(%error, "comparing with the store");
                    self.resync(Scope::Everything).await;
                }
            }
        }
        self.dispatch(complete);
    }

    /// Whether a connection of this node has to be notified, or a cache needs its body.
    fn concerns(&self, header: &Header) -> bool {
        let hub = &self.relay.hub;
        let Some(chat) = header.chat else {
            return true;
        };
        let is_new = matches!(header.kind, Kind::ChatCreated | Kind::CreationUncertain);
        match &header.users {
            _ if hub.has_room(chat) => true,
            Some(users) => hub.has_any(users),
            None => is_new || matches!(header.kind, Kind::ChatDeleted | Kind::DeletionUncertain),
        }
    }

    fn take_hint(&mut self, hint: Hint) {
        match hint.kind {
            HintKind::MessageSent => self.relay.hub.fall_behind(hint.chat),
            HintKind::ChatCreated => self.relay.hub.look_up(hint.chat, Lookup::Creation),
            _ => self.take_incomplete(hint.chat, Incomplete::Hint(hint)),
        }
    }

    /// Lets its chat wait for the store, in its turn.
    pub(super) fn take_incomplete(&mut self, chat: ChatId, incomplete: Incomplete) {
        if !self.backlogs.contains(chat) {
            self.backlogs.delay(chat);
            self.complete(chat, incomplete);
        } else if self.backlogs.push_incomplete(chat, incomplete).is_err() {
            self.flush(chat);
            // The clients that lag are cut; the others miss no more than what the comparison finds.
            self.relay.hub.members_uncertain(chat);
        }
    }

    /// Begins to read what completes a notice. Its chat waits for that.
    pub(super) fn complete(&mut self, chat: ChatId, incomplete: Incomplete) {
        let source = self.relay.source();
        self.waits
            .complete(source, chat, incomplete, std::time::Duration::ZERO);
    }

    /// Delivers what was completed. After a failure it is read again, and the chat stays delayed.
    pub(super) fn take_completed(&mut self, completed: Completed) {
        let Completed {
            chat,
            incomplete,
            completion,
        } = completed;
        match completion {
            Ok(completion) => self.deliver_completed(chat, &incomplete, completion),
            Err(error) => {
                warn!(%chat, %error, "a notice of another node could not be completed; trying again");
                let source = self.relay.source();
                return self.waits.complete(source, chat, incomplete, RETRY);
            }
        }
        self.advance(chat);
    }

    fn deliver_completed(&mut self, chat: ChatId, incomplete: &Incomplete, found: Completion) {
        let hub = &self.relay.hub;
        let origin = match incomplete {
            Incomplete::Hint(hint) => hint.origin,
            Incomplete::Joined(notice, _) => notice.origin,
        };
        let notice = |fact| Notice {
            origin,
            fact,
            durable: None,
        };
        match (found, incomplete) {
            (Completion::Fact(Some(fact)), _) => self.relay.pass_on(&notice(*fact)),
            (Completion::Joined(version), Incomplete::Joined(joined, _)) => {
                let Fact::MemberJoined(membership) = &joined.fact else {
                    return;
                };
                match version {
                    Some(version) => {
                        let membership = Membership {
                            version,
                            ..(**membership).clone()
                        };
                        hub.member_joined(&membership, joined);
                    }
                    // It has left since: the notice of that follows.
                    None => hub.rights_changed(chat, membership.version, joined),
                }
            }
            (Completion::Chat(Some(found)), _) => self.confirm(*found),
            (Completion::Chat(None), _) => {
                let pk = hub.pk_of(chat).unwrap_or_default();
                hub.chat_deleted(chat, &notice(Fact::ChatDeleted { chat, pk }));
            }
            (Completion::Fact(None) | Completion::Joined(_), _) => {}
        }
    }

    /// Compares the connections with a chat that anything may have been missed about, and notifies them of it as it is.
    fn confirm(&mut self, found: Doubtful) {
        let Doubtful {
            chat,
            of_event,
            joined,
        } = found;
        let hub = &self.relay.hub;
        hub.admit_missed(&chat, &joined);
        let has_other_members = !hub.has_seen_members(chat.id, chat.members_version);
        hub.members_confirmed(&chat);
        hub.fall_behind(chat.id);
        if let Some(of_event) = of_event {
            self.tell_state(&Arc::new(of_event));
        }
        if has_other_members {
            self.take_incomplete(chat.id, Incomplete::hint(chat.id, HintKind::MembersListed));
        }
    }

    /// Notifies the connections of the state of an event's chat.
    fn tell_state(&self, chat: &Arc<EventChat>) {
        let hub = &self.relay.hub;
        let access = hub.has_other_access(chat);
        let access = access.then(|| Fact::AccessChanged(Arc::clone(chat)));
        for fact in access
            .into_iter()
            .chain([Fact::ReadMoved(Arc::clone(chat))])
        {
            let notice = Notice {
                origin: None,
                fact,
                durable: None,
            };
            hub.broadcast(chat.chat, &notice);
        }
    }

    /// Something may have been lost: nothing that is cached of it is used, and the connections are compared with the
    /// store.
    pub(super) async fn resync(&mut self, scope: Scope) {
        match scope {
            Scope::Everything => {
                self.relay.metrics.resync("everything");
                info!("notices of other nodes may be lost; comparing with the store");
                self.relay.remote.forget_all();
                let source = self.relay.source();
                self.comparisons.want_everything(self.heard, source);
            }
            Scope::Chats(chats) => {
                self.relay.metrics.resync("chats");
                info!(
                    chats = chats.len(),
                    "notices of other nodes are lost; comparing with the store"
                );
                for chat in chats {
                    self.relay.remote.forget(chat).await;
                    self.take_incomplete(chat, Incomplete::doubtful(chat));
                }
            }
        }
    }

    /// Begins a comparison with the store, or repairs what one has found.
    pub(super) fn compare(&mut self, step: Step) {
        match step {
            Step::Tick => self.sweep(),
            Step::Compared(Ok(differences)) => self.repair(differences),
            Step::Compared(Err(error)) => {
                warn!(%error, "the connections could not be compared with the store; trying again");
            }
        }
    }

    /// Compares a part of the rooms; all of them while the other nodes are not heard.
    fn sweep(&mut self) {
        let source = self.relay.source();
        self.comparisons.begin_wanted(self.relay.source());
        if self.relay.bus.is_heard() {
            self.heard = self.relay.clock.now();
            if !self.relay.bus.is_alone() {
                self.comparisons.begin(Extent::Some, source);
            }
        } else {
            self.comparisons.begin(Extent::Rooms, source);
        }
    }

    /// Repairs what differs from the store.
    fn repair(&mut self, differences: Differences) {
        let Differences {
            behind,
            doubtful,
            changed,
            revoked,
        } = differences;
        for (user, before) in revoked {
            self.relay.hub.tokens_revoked(user, before);
        }
        for chat in behind {
            self.relay.hub.fall_behind(chat);
        }
        for chat in doubtful {
            self.take_incomplete(chat, Incomplete::doubtful(chat));
        }
        for (chat, changed) in changed {
            let kind = match changed {
                Changed::Name => HintKind::ChatChanged,
                // With the access, and all else that may have been missed.
                Changed::State => HintKind::Unknown,
            };
            self.take_incomplete(chat, Incomplete::hint(chat, kind));
        }
    }
}
