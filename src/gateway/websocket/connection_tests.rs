//! The task of one WebSocket, over a stream in memory.
//! Does not know the content of messages.

use futures_util::FutureExt;
use parking_lot::Mutex;
use std::collections::VecDeque;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::advance;
use tokio_util::task::TaskTracker;

use super::super::batch::{BATCH_FRAMES, COPIED};
use super::*;

/// A message of at most so many bytes is taken.
const LIMIT: usize = 1000;

/// The endpoint of the connections of these tests.
struct Recorder {
    record: Mutex<Record>,
    /// Has a place for each text `later` that may be done.
    gate: Arc<Semaphore>,
}

#[derive(Default)]
struct Record {
    frames: VecDeque<Frame>,
    writer: Option<std::task::Waker>,
    ended: Option<CloseReason>,
    silent: bool,
    received: Vec<String>,
    seen: usize,
    written: usize,
    ends: Vec<CloseReason>,
}

impl Recorder {
    fn push(&self, frame: Frame) {
        self.change(|record| record.frames.push_back(frame));
    }

    /// Like an outbox over its limits: queued frames are dropped.
    fn close(&self, why: CloseReason) {
        self.change(|record| {
            record.frames.clear();
            record.ended = Some(why);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Record)) {
        let mut record = self.record.lock();
        change(&mut record);
        if let Some(writer) = record.writer.take() {
            writer.wake();
        }
    }

    fn received(&self) -> Vec<String> {
        self.record.lock().received.clone()
    }

    fn ends(&self) -> Vec<CloseReason> {
        self.record.lock().ends.clone()
    }
}

impl Endpoint for Recorder {
    fn text(self: &Arc<Self>, text: Utf8Bytes) -> Result<Handled, CloseReason> {
        self.record.lock().received.push(text.to_string());
        match text.as_str() {
            "later" => {
                let gate = Arc::clone(&self.gate);
                Ok(Handled::Later(Box::pin(async move {
                    let passed = gate.acquire().await;
                    passed.map_err(|_| CloseReason::Gone)?.forget();
                    Ok(())
                })))
            }
            "refuse" => Err(CloseReason::Refused),
            _ => Ok(Handled::Done),
        }
    }

    fn binary(self: &Arc<Self>, data: Bytes) -> Result<Handled, CloseReason> {
        self.record.lock().received.push(format!("{data:?}"));
        Ok(Handled::Done)
    }

    fn fill(&self, context: &Context<'_>, batch: &mut Batch) -> Option<CloseReason> {
        let mut record = self.record.lock();
        while !batch.is_full() {
            let Some(frame) = record.frames.pop_front() else {
                record.writer = Some(context.waker().clone());
                return record.ended;
            };
            batch.push(frame);
        }
        None
    }

    fn await_client(&self, context: &Context<'_>) -> Option<CloseReason> {
        let mut record = self.record.lock();
        record.writer = Some(context.waker().clone());
        record.ended
    }

    fn written(&self) {
        self.record.lock().written += 1;
    }

    fn seen(&self) {
        self.record.lock().seen += 1;
    }

    fn tick(&self) -> Result<Instant, CloseReason> {
        if self.record.lock().silent {
            return Err(CloseReason::Silent);
        }
        Ok(Instant::now() + Duration::from_secs(25))
    }

    fn shut_down(&self) {
        self.change(|record| record.ended = Some(CloseReason::ShuttingDown));
    }

    fn end(&self, why: CloseReason) {
        self.record.lock().ends.push(why);
    }
}

/// A connection and its client, whose stream holds so many bytes each way.
struct Fixture {
    endpoint: Arc<Recorder>,
    client: DuplexStream,
    task: JoinHandle<()>,
    closing: CancellationToken,
}

impl Fixture {
    fn new(holds: usize) -> Self {
        Self::begin(holds, &[], |_| None)
    }

    fn begin(holds: usize, read: &[u8], work: fn(&Arc<Recorder>) -> Option<Work>) -> Self {
        let endpoint = Arc::new(Recorder {
            record: Mutex::default(),
            gate: Arc::new(Semaphore::new(0)),
        });
        let (server, client) = tokio::io::duplex(holds);
        let mut decoder = Decoder::new(LIMIT);
        decoder.push(read);
        let closing = CancellationToken::new();
        let (work, carried) = (work(&endpoint), Arc::clone(&endpoint));
        let connection = Connection::new(server, decoder, carried, work, closing.clone());
        Self {
            endpoint,
            client,
            task: TaskTracker::new().spawn(connection),
            closing,
        }
    }

    async fn send(&mut self, first: u8, payload: &[u8]) {
        self.client
            .write_all(&frame(first, payload))
            .await
            .expect("room");
        settle().await;
    }

    /// Everything that can be read now, and whether the stream has ended.
    async fn read(&mut self) -> (Vec<u8>, bool) {
        let mut read = Vec::new();
        let mut buffer = [0; 64];
        loop {
            settle().await;
            match self.client.read(&mut buffer).now_or_never() {
                Some(Ok(0) | Err(_)) => return (read, true),
                Some(Ok(count)) => read.extend_from_slice(&buffer[..count]),
                None => return (read, false),
            }
        }
    }
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("a short one");
    [&[first, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

fn text(text: &str) -> Frame {
    Frame::text(&[text.as_bytes()])
}

async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn frames_are_written_in_order_whatever_the_stream_takes() {
    for holds in [1, 7, 100, 100_000] {
        let mut fixture = Fixture::new(holds);
        let (mut expected, mut read) = (Vec::new(), Vec::new());
        for number in 0..3 * BATCH_FRAMES {
            let frame = text(&format!("{number}").repeat(number));
            expected.extend_from_slice(&frame.clone().into_bytes());
            fixture.endpoint.push(frame);
            if number % 50 == 0 {
                read.extend(fixture.read().await.0);
            }
        }
        read.extend(fixture.read().await.0);
        assert!(read == expected, "{holds}");
        assert!(fixture.endpoint.record.lock().written > 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_lags_is_sent_the_frame_that_was_begun_and_why() {
    let mut fixture = Fixture::new(10);
    let half = text(&"x".repeat(2 * COPIED));
    for frame in [half.clone(), text("never"), text("sent")] {
        fixture.endpoint.push(frame);
    }
    settle().await;
    fixture.endpoint.close(CloseReason::Lagging);
    settle().await;
    assert_eq!(fixture.endpoint.ends(), [CloseReason::Lagging]);
    let expected = [
        &half.into_bytes()[..],
        &Frame::close(Some(1013), "lagging").into_bytes(),
    ];
    assert_eq!(fixture.read().await, (expected.concat(), true));
    fixture.send(0x88, &1000_u16.to_be_bytes()).await;
    assert!(fixture.task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_close_frame_is_answered_with_its_code_and_ends_the_task() {
    for code in [&b""[..], b"\x03\xE8", b"\x0F\xA0bye"] {
        let mut fixture = Fixture::new(100);
        fixture.endpoint.push(text("before"));
        fixture.send(0x88, code).await;
        // The client has not closed its stream.
        assert!(fixture.task.is_finished());
        let code = &code[..code.len().min(2)];
        let length = u8::try_from(code.len()).expect("two at most");
        let before = text("before").into_bytes();
        let expected = [&before[..], &[0x88, length], code].concat();
        assert_eq!(fixture.read().await, (expected, true));
        assert_eq!(fixture.endpoint.ends()[0], CloseReason::Gone);
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_the_clients_close_frame_but_not_for_long() {
    for how in ["close", "eof", "break", "nothing"] {
        let mut fixture = Fixture::new(100);
        fixture.endpoint.push(text("last"));
        fixture.closing.cancel();
        let expected = [
            &text("last").into_bytes()[..],
            &Frame::close(Some(1012), "restarting").into_bytes(),
        ];
        assert_eq!(fixture.read().await, (expected.concat(), true), "{how}");
        // Nothing of this is handled any more.
        fixture.send(0x81, b"too late").await;
        assert!(!fixture.task.is_finished(), "{how}");
        match how {
            "close" => fixture.send(0x88, &[]).await,
            "eof" => fixture.client.shutdown().await.expect("an end"),
            "break" => fixture.send(0xFF, &[]).await,
            _ => {
                advance(Duration::from_millis(4998)).await;
                settle().await;
                assert!(!fixture.task.is_finished());
                advance(Duration::from_millis(3)).await;
            }
        }
        settle().await;
        assert!(fixture.task.is_finished(), "{how}");
        assert_eq!(fixture.endpoint.received(), Vec::<String>::new());
        assert_eq!(fixture.endpoint.ends()[0], CloseReason::ShuttingDown);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_does_not_delay_the_end_for_long() {
    let mut fixture = Fixture::new(3);
    fixture.endpoint.push(text("too long"));
    settle().await;
    fixture.endpoint.close(CloseReason::Lagging);
    settle().await;
    assert!(!fixture.task.is_finished());
    advance(CLOSE_TIMEOUT + Duration::from_millis(1)).await;
    assert_eq!(fixture.read().await, (b"\x81\x08t".to_vec(), true));
}

#[tokio::test(start_paused = true)]
async fn every_ping_is_answered_unless_there_is_a_later_one() {
    let mut fixture = Fixture::new(30);
    for payload in [&b"a"[..], b""] {
        fixture.send(0x89, payload).await;
        let pong = Frame::pong(payload).into_bytes();
        assert_eq!(fixture.read().await, (pong.to_vec(), false));
    }
    let long = text(&"x".repeat(40));
    fixture.endpoint.push(long.clone());
    settle().await;
    for payload in [b"b", b"c", b"d"] {
        fixture.send(0x89, payload).await;
    }
    fixture.endpoint.push(text("after"));
    let expected = [
        &long.into_bytes()[..],
        &Frame::pong(b"d").into_bytes(),
        &text("after").into_bytes(),
    ];
    assert_eq!(fixture.read().await, (expected.concat(), false));
    assert_eq!(fixture.endpoint.record.lock().seen, 5);
}

#[tokio::test(start_paused = true)]
async fn work_stops_reading_but_not_writing() {
    let mut fixture = Fixture::new(60);
    fixture.send(0x81, b"later").await;
    fixture.send(0x81, b"next").await;
    fixture.endpoint.push(text("x"));
    assert_eq!(fixture.read().await, (b"\x81\x01x".to_vec(), false));
    assert_eq!(fixture.endpoint.received(), ["later"]);
    let fills = fixture.client.write_all(&[0; 200]).now_or_never();
    assert!(fills.is_none());
    fixture.endpoint.gate.add_permits(1);
    settle().await;
    assert_eq!(fixture.endpoint.received(), ["later", "next"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_read_before_is_handled_after_the_first_work() {
    let work = |endpoint: &Arc<Recorder>| -> Option<Work> {
        let gate = Arc::clone(&endpoint.gate);
        Some(Box::pin(async move {
            let place = gate.acquire().await;
            place.map(drop).map_err(|_| CloseReason::Gone)
        }))
    };
    let read = [frame(0x81, b"one"), frame(0x82, b"two")].concat();
    let mut fixture = Fixture::begin(100, &read, work);
    fixture.send(0x81, b"three").await;
    assert_eq!(fixture.endpoint.received(), Vec::<String>::new());
    fixture.endpoint.gate.add_permits(1);
    settle().await;
    assert_eq!(fixture.endpoint.received(), ["one", "b\"two\"", "three"]);
}

#[tokio::test(start_paused = true)]
async fn a_violation_is_named_and_the_rest_is_not_read() {
    let long = [&[0x82, 0xFE, 0xFF, 0xFF, 0, 0, 0, 0][..], &[0; 50]].concat();
    for (sent, code, reason) in [
        (frame(0xFF, b""), 1002, "protocol error"),
        (frame(0x81, b"\xFF"), 1007, "not UTF-8"),
        (long, 1009, "frame too large"),
        (frame(0x81, b"refuse"), 1008, "refused too often"),
    ] {
        let mut fixture = Fixture::new(100);
        fixture.client.write_all(&sent).await.expect("room");
        let close = Frame::close(Some(code), reason).into_bytes();
        assert_eq!(fixture.read().await, (close.to_vec(), true));
        // It continues to send, and is read until it stops.
        for _ in 0..10 {
            fixture.send(0x81, b"after").await;
        }
        assert!(!fixture.task.is_finished());
        fixture.client.shutdown().await.expect("an end");
        settle().await;
        assert!(fixture.task.is_finished());
        assert!(!fixture.endpoint.received().contains(&"after".to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_is_sent_nothing() {
    let mut fixture = Fixture::new(100);
    fixture.endpoint.change(|record| record.silent = true);
    assert_eq!(fixture.read().await, (Vec::new(), true));
    assert_eq!(fixture.endpoint.ends(), [CloseReason::Silent]);
    let fixture = Fixture::new(100);
    drop(fixture.client);
    fixture.task.await.expect("an end");
    assert_eq!(fixture.endpoint.ends()[0], CloseReason::Gone);
    let mut fixture = Fixture::new(100);
    settle().await;
    fixture.task.abort();
    assert_eq!(fixture.read().await, (Vec::new(), true));
    assert_eq!(fixture.endpoint.ends(), [CloseReason::Gone]);
}
