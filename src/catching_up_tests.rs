//! The promise to a client that disconnects and reconnects: every message of each chat once and in
//! order, however it connects, requests and joins.
//! Does not know any transport: the client is a model that keeps the messages it receives.

mod connecting;
mod late_commits;
mod lost_answers;
mod node;
mod removals;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use self::node::Node;
use crate::gateway::connection::Connection;
use crate::gateway::dialect::{Decoded, DialectSession, Incoming, Since};
use crate::hub::{Body, Outgoing, SharedEncoding, Subscriber};
use crate::model::{
    ChatId, ChatRef, Command, Error, Fact, Identity, KnownUpTo, Message, Notice, PageBudget, Reply,
    Rights, Seq,
};
use crate::telemetry::{DialectLabel, Transport};

const CHATS: usize = 3;

/// Encodes the chat and the seq of each message, once enabled: like a dialect that waits for a
/// subscription.
#[derive(Default)]
struct TestDialect {
    delivery: Mutex<Delivery>,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Delivery {
    #[default]
    Disabled,
    Enabled,
    /// Also of chats that are created or deleted.
    OfChats,
}

impl Subscriber for TestDialect {
    fn encode(&self, notice: &Notice, _: &mut SharedEncoding, sink: &mut dyn FnMut(Outgoing)) {
        let delivery = *self.delivery.lock();
        let of_chats = delivery == Delivery::OfChats;
        let mut send = |text: String| sink(Outgoing::bare(Body::from_json(text)));
        match &notice.fact {
            Fact::MessageSent(message) if delivery != Delivery::Disabled => sink(word(message)),
            Fact::ChatCreated(chat) if of_chats => send(format!("{} created", chat.id)),
            Fact::EventChatOpened(chat) if of_chats => send(format!("{} opened", chat.chat)),
            Fact::ChatDeleted { chat, pk } if of_chats => send(format!("{chat} deleted {pk}")),
            _ => {}
        }
    }

    fn is_subscribed(&self, _: ChatId) -> bool {
        *self.delivery.lock() != Delivery::Disabled
    }
}

impl DialectSession for TestDialect {
    fn label(&self) -> DialectLabel {
        DialectLabel::EventName
    }

    /// The model makes its commands itself.
    fn decode(self: Arc<Self>, _: &Incoming) -> Decoded {
        unreachable!("no frame is sent")
    }

    fn request_name(&self, _: &Incoming) -> &'static str {
        unreachable!("no frame is sent")
    }

    fn refuse(&self, _: &Incoming, _: &Error) -> Vec<Outgoing> {
        unreachable!("no frame is sent")
    }
}

fn word(message: &Message) -> Outgoing {
    Outgoing::bare(Body::from_json(format!("{} {}", message.chat, message.seq)))
}

/// Anna's client. It drops no message, and expects none twice.
#[derive(Default)]
struct Client {
    connection: Option<(Connection, Arc<TestDialect>)>,
    /// Up to which seq each chat is known without a gap.
    known: BTreeMap<ChatId, Seq>,
    /// The messages delivered live on this connection, in order.
    live: BTreeMap<ChatId, Vec<Seq>>,
    /// The chats to `sync`.
    behind: Vec<ChatId>,
}

impl Client {
    async fn connect(&mut self, node: &Node, replay: bool, delivery: Delivery) {
        if self.connection.is_some() {
            return;
        }
        let dialect = Arc::new(TestDialect::default());
        *dialect.delivery.lock() = delivery;
        let identity = Identity {
            user: Some(node.anna),
            rights: Rights::Own,
            connection: None,
            request: None,
        };
        let session = Arc::clone(&dialect) as Arc<dyn DialectSession>;
        let state = node.state.clone();
        let connection = Connection::open(state, identity, None, session, Transport::WebSocket);
        let connection = connection.await.expect("a connection");
        self.behind.clone_from(&node.chats);
        if replay && delivery == Delivery::Enabled {
            let chats = node.chats.iter().map(|chat| self.position(*chat));
            let chats = chats.collect();
            let respond = |reply: &Reply| {
                let Reply::Synced(synced) = reply else {
                    panic!("{reply:?}")
                };
                let missed = synced.iter().flatten();
                let messages = missed.clone().flat_map(|part| &part.messages);
                let more = missed.filter(|part| part.has_more);
                let more =
                    more.map(|part| Outgoing::bare(Body::from_json(format!("{} more", part.chat))));
                messages.map(|message| word(message)).chain(more).collect()
            };
            let respond = Box::new(respond);
            let since = Since { chats, respond };
            connection.begin_after(since).await.expect("a replay");
            // Where there is more, that is sent after the replay.
            self.behind.clear();
        }
        self.connection = Some((connection, dialect));
    }

    fn position(&self, chat: ChatId) -> (ChatRef, KnownUpTo) {
        let known = self.known.get(&chat).copied().unwrap_or(0);
        (ChatRef::Id(chat), known.into())
    }

    /// The connection is closed; messages beyond a gap are forgotten.
    fn disconnect(&mut self) -> TestCaseResult {
        self.read(usize::MAX)?;
        self.connection = None;
        self.live.clear();
        self.behind.clear();
        Ok(())
    }

    /// Reads live messages: each seq is the successor of the one before.
    fn read(&mut self, most: usize) -> TestCaseResult {
        let Some((connection, _)) = &self.connection else {
            return Ok(());
        };
        for _ in 0..most {
            let Some(frame) = connection.outbox().try_next() else {
                break;
            };
            let (chat, seq) = frame.body.as_str().split_once(' ').expect("two words");
            let chat: ChatId = chat.parse().expect("a chat");
            let Ok(seq) = seq.parse::<Seq>() else {
                self.behind.push(chat);
                take_in(&mut self.known, &self.live, chat);
                self.live.remove(&chat);
                continue;
            };
            let live = self.live.entry(chat).or_default();
            if let Some(latest) = live.last() {
                prop_assert_eq!(seq, latest + 1, "live, in order");
            }
            live.push(seq);
        }
        for chat in self.live.keys() {
            take_in(&mut self.known, &self.live, *chat);
        }
        Ok(())
    }

    /// Requests the missing messages of all chats that it is behind in.
    async fn sync(&mut self) -> TestCaseResult {
        let Some((connection, dialect)) = &self.connection else {
            return Ok(());
        };
        *dialect.delivery.lock() = Delivery::Enabled;
        let behind = std::mem::take(&mut self.behind);
        let chats: Vec<_> = behind.iter().map(|chat| self.position(*chat)).collect();
        let sync = Command::Sync {
            user: None,
            chats: chats.clone(),
            until: HashMap::new(),
            budget: PageBudget::RESPONSE,
        };
        let Ok(Reply::Synced(synced)) = connection.begin(sync).await.await else {
            panic!("no answer");
        };
        for (missed, (_, KnownUpTo { seq: after, .. })) in synced.into_iter().zip(chats) {
            let missed = missed.expect("her own chat");
            let numbers: Vec<_> = missed.messages.iter().map(|message| message.seq).collect();
            let expected: Vec<_> = (after + 1..).take(numbers.len()).collect();
            prop_assert_eq!(
                &numbers,
                &expected,
                "an answer goes on after the requested seq"
            );
            let live = self.live.get(&missed.chat);
            if let (Some(last), Some(first)) = (numbers.last(), live.and_then(|live| live.first()))
            {
                prop_assert!(last < first, "{} was delivered twice", last);
            }
            let known = self.known.entry(missed.chat).or_default();
            *known = (*known).max(after + Seq::try_from(numbers.len()).expect("few"));
            if missed.has_more {
                self.behind.push(missed.chat);
            }
            take_in(&mut self.known, &self.live, missed.chat);
        }
        Ok(())
    }

    /// Receives everything in the end.
    async fn finish(&mut self, node: &Node) -> TestCaseResult {
        self.connect(node, false, Delivery::Enabled).await;
        for _ in 0..2000 {
            if !self.behind.is_empty() {
                self.sync().await?;
            }
            self.read(usize::MAX)?;
            if self.knows_all(node) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        prop_assert!(
            self.knows_all(node),
            "{:?}, not {:?}",
            self.known,
            node.heads
        );
        Ok(())
    }

    fn is_disabled(&self) -> bool {
        let dialect = self.connection.as_ref().map(|(_, dialect)| dialect);
        dialect.is_some_and(|dialect| *dialect.delivery.lock() == Delivery::Disabled)
    }

    fn knows_all(&self, node: &Node) -> bool {
        let known = |chat| self.known.get(chat).copied().unwrap_or(0);
        node.heads.iter().all(|(chat, head)| known(chat) == *head)
    }
}

/// Live messages that follow the known ones without a gap are known, too.
fn take_in(known: &mut BTreeMap<ChatId, Seq>, live: &BTreeMap<ChatId, Vec<Seq>>, chat: ChatId) {
    let known = known.entry(chat).or_default();
    for seq in live.get(&chat).into_iter().flatten() {
        if *seq == *known + 1 {
            *known = *seq;
        }
    }
}

/// A random action.
#[derive(Debug, Clone)]
enum Step {
    Send(usize, usize),
    Connect(bool, bool),
    Disconnect,
    Sync,
    Read(usize),
    MakeChat,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3 * CHATS, 1..20_usize).prop_map(|(chat, count)| Step::Send(chat, count)),
        1 => (0..CHATS).prop_map(|chat| Step::Send(chat, 1100)),
        4 => (any::<bool>(), any::<bool>()).prop_map(|(replay, disabled)| Step::Connect(replay, disabled)),
        3 => Just(Step::Disconnect),
        5 => Just(Step::Sync),
        4 => (1..30_usize).prop_map(Step::Read),
        1 => Just(Step::MakeChat),
    ]
}

async fn live(steps: Vec<Step>) -> TestCaseResult {
    let mut node = Node::open().await;
    let mut client = Client::default();
    for step in steps {
        match step {
            Step::Send(chat, count) => node.send(chat, count).await,
            Step::Connect(replay, disabled) => {
                let delivery = if disabled {
                    Delivery::Disabled
                } else {
                    Delivery::Enabled
                };
                client.connect(&node, replay, delivery).await;
            }
            Step::Disconnect => client.disconnect()?,
            Step::Sync if client.behind.is_empty() => {}
            Step::Sync => client.sync().await?,
            Step::Read(most) => client.read(most)?,
            // A client with disabled delivery would not receive it.
            Step::MakeChat if client.is_disabled() => {}
            Step::MakeChat => node.make_chat().await,
        }
    }
    client.finish(&node).await?;
    client.disconnect()?;
    client.finish(&node).await?;
    client.disconnect()?;
    node.close().await;
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn each_message_reaches_a_client_that_comes_and_goes_once(
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.expect("a runtime").block_on(live(steps))?;
    }
}

/// While another user writes without a pause a client reconnects again and again, and receives one
/// contiguous sequence of seqs without any care on its side.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_and_what_follows_are_one_row() {
    const MESSAGES: usize = 3000;
    let mut node = Node::open().await;
    let chat = node.chats[0];
    let identity = Identity {
        user: Some(node.anna),
        rights: Rights::Own,
        connection: None,
        request: None,
    };
    let state = node.state.clone();
    let writing = async {
        for _ in 0..MESSAGES / 10 {
            node.send(0, 10).await;
        }
    };
    let coming_and_going = async {
        let mut row: Vec<Seq> = Vec::new();
        let mut visits = 0;
        while row.len() < MESSAGES {
            visits += 1;
            let dialect = Arc::new(TestDialect::default());
            *dialect.delivery.lock() = Delivery::Enabled;
            let opened =
                Connection::open(state.clone(), identity, None, dialect, Transport::WebSocket)
                    .await;
            let connection = opened.expect("a connection");
            let known = row.last().copied().unwrap_or(0);
            let respond = |reply: &Reply| match reply {
                Reply::Synced(synced) => {
                    let missed = synced.iter().flatten();
                    assert!(missed.clone().all(|part| !part.has_more), "a short absence");
                    missed
                        .flat_map(|part| &part.messages)
                        .map(|message| word(message))
                        .collect()
                }
                other => panic!("{other:?}"),
            };
            let since = Since {
                chats: vec![(ChatRef::Id(chat), known.into())],
                respond: Box::new(respond),
            };
            connection.begin_after(since).await.expect("a replay");
            for _ in 0..37 {
                match connection.outbox().try_next() {
                    Some(frame) => {
                        let (_, seq) = frame.body.as_str().split_once(' ').expect("two words");
                        row.push(seq.parse().expect("a number"));
                    }
                    None => tokio::task::yield_now().await,
                }
            }
        }
        (row, visits)
    };
    let ((), (row, visits)) = tokio::join!(writing, coming_and_going);
    let expected: Vec<_> = (1..=Seq::try_from(row.len()).expect("few")).collect();
    assert_eq!(row, expected);
    assert!(visits > 10, "{visits} visits");
    node.close().await;
}
