//! The chats and the slots of clients of a run, and the steps that change them: several under way
//! at a time.
//! Does not judge.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::task::TaskTracker;

use super::clients::Client;
use super::ledger::Ledger;
use super::node::Node;
use super::random::Random;
use super::record::{Act, ChatNo, HOST_MEMBER, USERS, UserNo};
use super::requests::{Request, create_user};
use super::verdict::Violation;
use crate::model::Seq;
use crate::telemetry::DialectLabel;

/// The dialects of the slots for clients.
const SLOTS: [DialectLabel; 10] = [
    DialectLabel::EventName,
    DialectLabel::EventName,
    DialectLabel::EventName,
    DialectLabel::Action,
    DialectLabel::Action,
    DialectLabel::Action,
    DialectLabel::Type,
    DialectLabel::Type,
    DialectLabel::Marketplace,
    DialectLabel::Marketplace,
];

/// How many operations are under way at most.
const UNDER_WAY: usize = 14;

/// For how many steps one user and one chat are in most of them.
const FOCUS: usize = 20;

/// A slot for a client.
#[derive(Clone)]
enum Slot {
    Free,
    Connecting,
    Connected(Client),
}

/// A run.
pub(super) struct World {
    pub(super) node: Node,
    pub(super) ledger: Arc<Ledger>,
    /// The chats in use.
    pub(super) places: Mutex<Vec<ChatNo>>,
    /// The event of the chats that are an event's.
    pub(super) events: Mutex<BTreeMap<ChatNo, i64>>,
    slots: Mutex<Vec<Slot>>,
    /// The operations of the host application, and connections being opened.
    pub(super) work: TaskTracker,
    seed: u64,
}

impl World {
    pub(super) fn new(node: Node, ledger: Arc<Ledger>, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            node,
            ledger,
            places: Mutex::default(),
            events: Mutex::default(),
            slots: Mutex::new(vec![Slot::Free; SLOTS.len()]),
            work: TaskTracker::new(),
            seed,
        })
    }

    /// Begins a step, and returns when another one may begin.
    pub(super) async fn step(self: &Arc<Self>, number: usize) {
        self.ledger.state().step = number;
        let step = u64::try_from(number).expect("a small number");
        let mut random = Random::new(self.seed, 1000 + step);
        let focus = step / u64::try_from(FOCUS).expect("a small number");
        let mut focus = Random::new(self.seed, 1_000_000 + focus);
        let (hot, place) = (1 + focus.below(USERS - 1), focus.below(100));
        let user = if random.one_in(2) {
            hot
        } else {
            random.below(USERS)
        };
        let place = if random.one_in(3) {
            random.below(100)
        } else {
            place
        };
        let chat = self.place(place);
        self.act(&mut random, user, chat);
        match random.below(6) {
            0 => tokio::time::sleep(Duration::from_millis(1)).await,
            1 | 2 => {}
            _ => {
                for _ in 0..random.below(12) {
                    tokio::task::yield_now().await;
                }
            }
        }
        // What is not answered is found when everything is waited for.
        for _ in 0..1000 {
            if self.under_way() < UNDER_WAY {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Lets the relay look for messages of all chats that the bus lost.
    pub(super) fn find_missing(&self) {
        let state = self.ledger.state();
        for (number, chat) in state.chats.iter().enumerate() {
            if let Some((id, _)) = chat.id
                && !state.may_be_deleted(number)
            {
                self.node.state.hub.fall_behind(id);
            }
        }
    }

    /// How far the hub has delivered a chat, and to how many connections.
    pub(super) fn delivered(&self, violation: &Violation) -> String {
        let (id, live) = {
            let state = self.ledger.state();
            let id = violation.chat.and_then(|chat| state.chats[chat].id);
            let open = state.connections.iter().filter(|it| !it.closed);
            let live = open.filter_map(|it| it.live.get(&violation.chat?)?.last().copied());
            (id, live.collect::<Vec<_>>())
        };
        // Not under the lock of the record: the hub records what it delivers.
        let delivered = id.and_then(|(id, _)| self.node.state.hub.next_after(id));
        format!("; delivered up to {delivered:?}, to open connections up to {live:?}")
    }

    /// How many operations are under way.
    pub(super) fn under_way(&self) -> usize {
        self.ledger.state().pending.len() + self.work.len()
    }

    fn place(&self, place: usize) -> ChatNo {
        let places = self.places.lock();
        places[place % places.len()]
    }

    /// A chat of an event instead of this one.
    fn of_event(&self, chat: ChatNo) -> ChatNo {
        let events = self.events.lock();
        let of_events: Vec<_> = events.keys().collect();
        *of_events[chat % of_events.len()]
    }

    fn act(self: &Arc<Self>, random: &mut Random, user: UserNo, chat: ChatNo) {
        let slot = random.below(SLOTS.len());
        let seq = self.some_seq(random, chat);
        let removed = if user == HOST_MEMBER {
            1 + random.below(USERS - 1)
        } else {
            user
        };
        match random.below(200) {
            0..=27 => self.come_or_go(random, slot, user),
            28..=35 => self.find_user(random, user),
            36..=75 => self.request(random, slot, user, chat, Request::Send),
            76..=95 => {
                let sender = if random.one_in(3) { user } else { HOST_MEMBER };
                self.send(sender, chat);
            }
            96..=119 => self.change_member(user, chat, true),
            120..=145 => {
                self.race(random, removed, chat, seq);
                self.change_member(removed, chat, false);
            }
            146..=150 => self.request(random, slot, user, chat, Request::Join),
            151..=154 => self.request(random, slot, user, chat, Request::Leave),
            155..=163 => self.request(random, slot, user, chat, Request::Listen),
            164..=171 => self.request(random, slot, user, chat, Request::Watch),
            172..=176 => self.request(random, slot, user, chat, Request::Read),
            177..=182 => self.request(random, slot, user, chat, Request::Sync(seq)),
            183..=186 => self.request(random, slot, user, chat, Request::Show),
            187..=189 => self.request(random, slot, user, chat, Request::List),
            190..=191 => self.request(random, slot, user, chat, Request::Advance(seq)),
            192..=194 => self.request(random, slot, user, chat, Request::Rename),
            195..=198 => self.rename(chat),
            _ => self.replace(random, chat),
        }
    }

    /// The clients of a user that is about to be removed send requests, or connect.
    fn race(self: &Arc<Self>, random: &mut Random, user: UserNo, chat: ChatNo, seq: Seq) {
        let requests = [
            Request::Read,
            Request::Sync(seq),
            Request::Sync(0),
            Request::Send,
            Request::Rename,
            Request::Watch,
        ];
        for (slot, dialect) in SLOTS.into_iter().enumerate() {
            let request = requests[random.below(requests.len())];
            let connects = random.one_in(8);
            let known = self.slots.lock()[slot].clone();
            let client = match known {
                Slot::Free | Slot::Connected(_) if connects => {
                    self.come_or_go(random, slot, user);
                    continue;
                }
                Slot::Connected(client) => client,
                Slot::Connecting | Slot::Free => continue,
            };
            let acting = self.ledger.state().connections[client.number].user;
            if acting == user && dialect != DialectLabel::Marketplace && request.exists_in(dialect)
            {
                self.request(random, slot, user, chat, request);
            }
        }
    }

    /// A seq that may be in the chat.
    fn some_seq(&self, random: &mut Random, chat: ChatNo) -> Seq {
        let state = self.ledger.state();
        let head = state.chats[chat].messages.last_key_value();
        let head = head.map_or(0, |(seq, _)| *seq);
        let back = if random.one_in(2) {
            1000
        } else {
            random.below(5)
        };
        (head - Seq::try_from(back).expect("a small number")).max(0)
    }

    fn come_or_go(self: &Arc<Self>, random: &mut Random, slot: usize, user: UserNo) {
        let known = self.slots.lock()[slot].clone();
        match known {
            Slot::Free => self.connect(random, slot, user),
            Slot::Connecting => self.send(HOST_MEMBER, self.place(slot)),
            Slot::Connected(client) => {
                client.disconnect(&self.ledger);
                self.slots.lock()[slot] = Slot::Free;
                if !random.one_in(4) {
                    self.connect(random, slot, user);
                }
            }
        }
    }

    fn connect(self: &Arc<Self>, random: &mut Random, slot: usize, user: UserNo) {
        let dialect = SLOTS[slot];
        let mut since = BTreeMap::new();
        if dialect == DialectLabel::EventName && random.one_in(2) {
            let state = self.ledger.state();
            for (number, chat) in state.chats.iter().enumerate() {
                let live = state.connections.iter();
                let live = live.filter_map(|it| it.live.get(&number)?.iter().max());
                let back = Seq::try_from(random.below(5)).expect("a small number");
                let seq = live.max().map_or(0, |seq| (seq - back).max(0));
                if let Some((id, _)) = chat.id {
                    since.insert(number, (id, seq));
                }
            }
        }
        self.slots.lock()[slot] = Slot::Connecting;
        let world = Arc::clone(self);
        self.work.spawn(async move {
            let client = Client::connect(&world.node, &world.ledger, dialect, user, since).await;
            let connected = client.map_or(Slot::Free, Slot::Connected);
            world.slots.lock()[slot] = connected;
        });
    }

    fn client(&self, slot: usize) -> Option<Client> {
        match &self.slots.lock()[slot] {
            Slot::Connected(client) => Some(client.clone()),
            _ => None,
        }
    }

    /// A client of the event-name dialect finds another user, and stays its own.
    fn find_user(self: &Arc<Self>, random: &mut Random, user: UserNo) {
        let slot = random.below(3);
        let Some(client) = self.client(slot) else {
            return self.come_or_go(random, slot, user);
        };
        let acting = self.ledger.state().connections[client.number].user;
        let connection = Some(client.number);
        let op = self.ledger.begin(Act::Look, None, Some(acting), connection);
        client.inbox.push(create_user(op, user));
    }

    /// A client sends a request.
    fn request(
        self: &Arc<Self>,
        random: &mut Random,
        slot: usize,
        user: UserNo,
        chat: ChatNo,
        request: Request,
    ) {
        let able: Vec<_> = (0..SLOTS.len())
            .filter(|slot| request.exists_in(SLOTS[*slot]))
            .collect();
        let slot = if able.contains(&slot) {
            slot
        } else {
            able[slot % able.len()]
        };
        let chat = match SLOTS[slot] {
            DialectLabel::Marketplace => self.of_event(chat),
            _ => chat,
        };
        let (Some(client), Some(id)) = (self.client(slot), self.ledger.state().chats[chat].id)
        else {
            return self.come_or_go(random, slot, user);
        };
        let acting = self.ledger.state().connections[client.number].user;
        if request == Request::Leave && acting == HOST_MEMBER {
            return self.send(acting, chat);
        }
        let act = match request {
            Request::Send => Act::Send,
            Request::Read => Act::Read,
            Request::Join => Act::Add(acting),
            Request::Leave => Act::Remove(acting),
            Request::Listen => Act::Listen,
            Request::Watch => Act::Watch,
            Request::Rename => Act::Rename,
            Request::Sync(_) | Request::Show | Request::List | Request::Advance(_) => Act::Look,
        };
        let of_chat = (request != Request::List).then_some(chat);
        let connection = Some(client.number);
        let op = self.ledger.begin(act, of_chat, Some(acting), connection);
        client.inbox.push(request.frame(client.dialect, op, id));
    }

    /// Ends all connections.
    pub(super) fn disconnect_all(&self) {
        for slot in self.slots.lock().iter_mut() {
            if let Slot::Connected(client) = std::mem::replace(slot, Slot::Free) {
                client.disconnect(&self.ledger);
            }
        }
    }
}
