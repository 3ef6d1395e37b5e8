//! Each fact about the library that is relied on, over streams in memory.
//! Does not know sessions: `stream_tests` does.

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;

const FRAME_BYTES: usize = 100_000;

/// How long anything may take.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// The events of a connection: an extension of its request.
type Events = Arc<Mutex<Vec<RawEvent>>>;

/// The events of a connection.
struct Recorder {
    library: Arc<LibrarySocket<LocalAdapter>>,
    events: Events,
}

impl FromConnectParts<LocalAdapter> for Recorder {
    type Error = Infallible;

    fn from_connect_parts(
        library: &Arc<LibrarySocket<LocalAdapter>>,
        _: &Option<Value>,
    ) -> Result<Self, Infallible> {
        let events = library.req_parts().extensions.get::<Events>();
        Ok(Self {
            library: Arc::clone(library),
            events: Arc::clone(events.expect("the extension of this request")),
        })
    }
}

async fn record(Recorder { library, events }: Recorder) -> Result<(), Infallible> {
    library.on_fallback(move |event: RawEvent| {
        events.lock().push(event);
        std::future::ready(())
    });
    Ok(())
}

fn recording() -> (SocketIoService<()>, SocketIo) {
    let (layer, io) = library(FRAME_BYTES);
    io.ns("/", (async |_: Recorder| {}).with(record));
    (layer.layer(()), io)
}

/// The client of one stream.
struct Client {
    stream: DuplexStream,
    read: Vec<u8>,
    events: Events,
}

impl Client {
    fn new(service: &SocketIoService<()>) -> Self {
        let (stream, library) = tokio::io::duplex(FRAME_BYTES);
        let events = Events::default();
        let mut request = Request::new(());
        *request.uri_mut() = Uri::from_static("/socket.io/?EIO=4&transport=websocket");
        request.extensions_mut().insert(Arc::clone(&events));
        drop(hyper::service::Service::call(service, (library, request)));
        Self {
            stream,
            read: Vec::new(),
            events,
        }
    }

    /// A client that is connected, and its id.
    async fn connected(service: &SocketIoService<()>) -> (Self, String) {
        let mut client = Self::new(service);
        client.send(0x81, b"40", usize::MAX).await;
        let answer = client.message().await;
        let answer = answer.strip_prefix('0').expect("the answer comes first");
        let answer: serde_json::Value = serde_json::from_str(answer).expect("JSON");
        let sid = answer["sid"].as_str().expect("an id").to_owned();
        (client, sid)
    }

    /// Sends a frame masked with zeros, so many bytes at once.
    async fn send(&mut self, first: u8, payload: &[u8], piece: usize) {
        let mut frame = vec![first];
        match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
            (Ok(short @ 0..=125), _) => frame.push(0x80 | short),
            (_, Ok(medium)) => {
                frame.push(0x80 | 0x7E);
                frame.extend(medium.to_be_bytes());
            }
            _ => {
                frame.push(0x80 | 0x7F);
                frame.extend((payload.len() as u64).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        for piece in frame.chunks(piece) {
            self.stream.write_all(piece).await.expect("room");
            tokio::task::yield_now().await;
        }
    }

    async fn event(&mut self, packet: &str) {
        let packet = format!("4{packet}");
        self.send(0x81, packet.as_bytes(), usize::MAX).await;
    }

    /// The next message of the library; everything before it is of the transport.
    async fn message(&mut self) -> String {
        loop {
            let (first, packet) = self.next().await.expect("a message");
            assert_eq!(first, 0x81, "a whole text");
            if let Some(message) = packet.strip_prefix('4') {
                return message.to_owned();
            }
            assert!(packet.starts_with('0') || packet == "2", "{packet}");
        }
    }

    /// The next frame, which is not masked; `None`: the stream was dropped.
    async fn next(&mut self) -> Option<(u8, String)> {
        loop {
            if let [first, length, ..] = self.read[..] {
                assert!(length <= 125, "masked, or long");
                let end = 2 + usize::from(length);
                if self.read.len() >= end {
                    let frame: Vec<u8> = self.read.drain(..end).collect();
                    let payload = String::from_utf8_lossy(&frame[2..]).into_owned();
                    return Some((first, payload));
                }
            }
            let read = self.stream.read_buf(&mut self.read);
            let read = tokio::time::timeout(TIME_LIMIT, read).await;
            if read.expect("in time").expect("memory") == 0 {
                return None;
            }
        }
    }

    /// The events once so many have arrived.
    async fn arrived(&self, count: usize) -> Vec<(Value, Option<i64>)> {
        let arrived = async {
            while self.events.lock().len() < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let arrived = tokio::time::timeout(TIME_LIMIT, arrived).await;
        arrived.expect("every event arrives");
        let events = std::mem::take(&mut *self.events.lock());
        assert_eq!(events.len(), count);
        events.into_iter().map(|it| (it.data, it.ack)).collect()
    }
}

fn text(value: &Value) -> &str {
    match value {
        Value::Str(text, _) => text.as_str(),
        Value::Bytes(_) => panic!("bytes"),
    }
}

#[tokio::test]
async fn a_stream_that_is_a_websocket_is_taken_with_the_extensions_of_its_request() {
    let (service, _io) = recording();
    let (mut one, _) = Client::connected(&service).await;
    let (mut other, _) = Client::connected(&service).await;
    one.event(r#"2["a",1]"#).await;
    other.event(r#"2["a",2]"#).await;
    assert_eq!(text(&one.arrived(1).await[0].0), r#"["a",1]"#);
    assert_eq!(text(&other.arrived(1).await[0].0), r#"["a",2]"#);
}

#[tokio::test]
async fn nothing_is_missed_that_follows_the_answer_to_connect_at_once() {
    const EVENTS: usize = 50;
    let (service, _io) = recording();
    for _ in 0..20 {
        let (mut client, _) = Client::connected(&service).await;
        for number in 0..EVENTS {
            client.event(&format!(r#"2["a",{number}]"#)).await;
        }
        // In order, too.
        for (number, (data, _)) in client.arrived(EVENTS).await.into_iter().enumerate() {
            assert_eq!(text(&data), format!(r#"["a",{number}]"#));
        }
    }
}

#[tokio::test]
async fn an_event_arrives_as_the_text_that_was_sent_with_its_number() {
    let (service, _io) = recording();
    let (mut client, _) = Client::connected(&service).await;
    let long = format!(r#"["a","{}"]"#, "ж".repeat(20_000));
    for data in [
        r#"["a",{}]"#,
        r#"["ü😀",{"ж":"\u0436"}]"#,
        r#"["a","\ud83d"]"#,
        r#"["a",123456789012345678901234567890,1e400,-0.0]"#,
        r#"["a" , { "b" : [ 1 ] } ] "#,
        r#"["",[[[]]],null]"#,
        r#"["connect",1,"disconnect"]"#,
        &long,
    ] {
        for ack in [None, Some(0), Some(7), Some(i64::MAX)] {
            let number = ack.map_or(String::new(), |ack| ack.to_string());
            client.event(&format!("2{number}{data}")).await;
            let (arrived, number) = client.arrived(1).await.remove(0);
            assert_eq!((text(&arrived), number), (data, ack));
            assert!(matches!(arrived, Value::Str(_, None)));
        }
    }
}

#[tokio::test]
async fn attachments_arrive_with_their_event() {
    let (service, _io) = recording();
    let (mut client, _) = Client::connected(&service).await;
    let data = r#"["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;
    client.event(&format!("52-9{data}")).await;
    client.send(0x82, b"one", usize::MAX).await;
    client.send(0x82, b"", usize::MAX).await;
    client.event(r#"2["b"]"#).await;
    let arrived = client.arrived(2).await;
    let Value::Str(text, Some(attachments)) = &arrived[0].0 else {
        panic!("{arrived:?}");
    };
    assert_eq!((text.as_str(), arrived[0].1), (data, Some(9)));
    assert_eq!(*attachments, [Bytes::from("one"), Bytes::new()]);
}

#[tokio::test]
async fn frames_are_read_in_any_pieces() {
    let (service, _io) = recording();
    let (mut client, _) = Client::connected(&service).await;
    for length in [1, 100, 125, 126, 1000, 65_536, FRAME_BYTES - 20] {
        let data = format!(r#"["a","{}"]"#, "x".repeat(length));
        for piece in [1, 3, 127, 128, 129, 4096, usize::MAX] {
            if length / piece < 10_000 {
                let packet = format!("42{data}");
                client.send(0x81, packet.as_bytes(), piece).await;
                assert_eq!(text(&client.arrived(1).await[0].0), data);
            }
        }
    }
}

#[tokio::test]
async fn who_connects_again_has_another_id() {
    let (service, io) = recording();
    let (mut first, sid) = Client::connected(&service).await;
    first.send(0x88, &[], usize::MAX).await;
    let (_second, other) = Client::connected(&service).await;
    assert_ne!(sid, other);
    while first.next().await.is_some() {}
    assert_eq!(io.sockets().len(), 1);
}

#[tokio::test]
async fn a_close_frame_ends_its_session_and_nothing_is_kept() {
    let (service, io) = recording();
    let (mut client, _) = Client::connected(&service).await;
    let events = Arc::downgrade(&client.events);
    client.event(r#"2["a"]"#).await;
    assert_eq!(client.arrived(1).await.len(), 1);
    client.send(0x88, &[], usize::MAX).await;
    while client.next().await.is_some() {}
    drop(client);
    let kept = async {
        while events.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(TIME_LIMIT, kept)
        .await
        .expect("no leak");
    assert_eq!(io.sockets().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_stays_connected() {
    let (service, _io) = recording();
    let (mut client, _) = Client::connected(&service).await;
    tokio::time::sleep(Duration::from_hours(24 * 30)).await;
    client.event(r#"2["a"]"#).await;
    assert_eq!(client.arrived(1).await.len(), 1);
}
