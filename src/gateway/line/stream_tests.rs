//! TCP connections that are cut, held back, and that get nowhere.
//! It refuses to speak anything on them.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use bytes::Bytes;

use super::*;
use crate::gateway::line::PLACE;
use crate::limits::{LimitSettings, Proxies};

async fn pair() -> (WatchedStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let client = TcpStream::connect(address).await.expect("a client");
    let limits = Limits::new(LimitSettings {
        messages: None,
        frames: None,
        connections_per_user: None,
        connections_per_address: None,
        unauthenticated: Some(1),
        handshake: Duration::from_secs(10),
        proxies: Proxies::default(),
    });
    let (watched, _) = Watched::new(listener, Arc::new(limits), Metrics::default())
        .accept()
        .await;
    (watched, client)
}

/// Writes until there is no more room.
async fn fill(stream: &mut WatchedStream) {
    let bytes = vec![0; 1 << 20];
    let full = async { while stream.write_all(&bytes).await.is_ok() {} };
    let quiet = Duration::from_millis(300);
    assert!(tokio::time::timeout(quiet, full).await.is_err());
}

#[tokio::test]
async fn a_cut_ends_a_write_that_nobody_reads() {
    let (mut server, _client) = pair().await;
    fill(&mut server).await;
    assert!(server.line.has(BLOCKED));
    let (line, bytes) = (server.line.clone(), vec![0; 1 << 20]);
    let writing = tokio::join!(server.write_all(&bytes), async { line.cut() });
    assert!(writing.0.is_err());
    line.unblocked().await;
}

#[tokio::test]
async fn a_line_is_unblocked_when_the_client_reads_again() {
    let (mut server, mut client) = pair().await;
    fill(&mut server).await;
    let line = server.line.clone();
    let mut bytes = vec![0; 1 << 20];
    let reading = async { while client.read(&mut bytes).await.is_ok_and(|read| read > 0) {} };
    let more = vec![0; 1 << 20];
    let writing = server.write_all(&more);
    tokio::select! {
        written = writing => written.expect("the client reads"),
        () = reading => panic!("the line was cut"),
    }
    line.unblocked().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_cut_off_in_the_end() {
    let (mut server, _client) = pair().await;
    let bytes = vec![0; 1 << 20];
    let mut written = Ok(());
    while written.is_ok() {
        written = server.write_all(&bytes).await;
    }
    assert_eq!(
        written.map_err(|error| error.kind()),
        Err(io::ErrorKind::TimedOut)
    );
    assert!(server.line.has(CUT));
}

#[tokio::test]
async fn a_held_line_reads_nothing_until_released() {
    let (mut server, mut client) = pair().await;
    let line = server.line.clone();
    line.hold();
    client.write_all(b"x").await.expect("room");
    let mut byte = [0];
    let quiet = Duration::from_millis(100);
    assert!(
        tokio::time::timeout(quiet, server.read(&mut byte))
            .await
            .is_err()
    );
    let reading = tokio::join!(server.read(&mut byte), async { line.release() });
    assert_eq!(reading.0.expect("released"), 1);
}

#[tokio::test]
async fn what_was_read_ahead_comes_first_and_in_order() {
    let (mut server, mut client) = pair().await;
    let sent: Vec<u8> = (0..100_000_u32).map(|at| (at % 251) as u8).collect();
    let (mut read, mut most) = (Vec::new(), 0);
    let reading = async {
        let mut part = [0; 1000];
        while read.len() < sent.len() {
            let count = server.read(&mut part).await.expect("more");
            assert!(count > 0, "the end after {} bytes", read.len());
            read.extend_from_slice(&part[..count]);
            most = most.max(server.ahead.len());
        }
    };
    let (written, ()) = tokio::join!(client.write_all(&sent), reading);
    written.expect("room");
    assert_eq!(read, sent);
    assert!(most > 0, "never ahead");
    assert!(server.ahead.is_empty());
}

#[tokio::test]
async fn a_held_line_keeps_back_what_was_read_ahead() {
    let (mut server, mut client) = pair().await;
    let line = server.line.clone();
    client.write_all(b"xy").await.expect("room");
    let mut byte = [0];
    server.read_exact(&mut byte).await.expect("a byte");
    assert_eq!(server.ahead, b"y"[..]);
    line.hold();
    let quiet = Duration::from_millis(100);
    let reading = tokio::time::timeout(quiet, server.read(&mut byte));
    assert!(reading.await.is_err());
    let reading = tokio::join!(server.read(&mut byte), async { line.release() });
    assert_eq!(reading.0.expect("released"), 1);
    assert_eq!(byte, *b"y");
}

#[tokio::test]
async fn after_hanging_up_reading_ends_and_writing_goes_on() {
    let (mut server, mut client) = pair().await;
    server.line.hang_up();
    let mut byte = [0];
    assert_eq!(server.read(&mut byte).await.expect("the end"), 0);
    server.write_all(b"x").await.expect("writing goes on");
    assert_eq!(client.read(&mut byte).await.expect("a byte"), 1);
}

/// How a read ends on which nothing comes, and after how many seconds.
async fn silence(server: &mut WatchedStream) -> (io::ErrorKind, u64) {
    let began = Instant::now();
    let read = server.read(&mut [0]).await;
    (read.expect_err("an end").kind(), began.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn who_gets_nowhere_is_cut_off_after_the_time_for_the_handshake() {
    let (mut server, mut client) = pair().await;
    let line = server.line.clone();
    let dribble = async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let _ = client.write_all(b"x").await;
        }
    };
    let began = Instant::now();
    let read = async { while server.read(&mut [0]).await.is_ok() {} };
    tokio::select! {
        () = dribble => {}
        () = read => {}
    }
    assert_eq!(began.elapsed().as_secs(), 10);
    assert!(line.has(CUT));
}

#[tokio::test(start_paused = true)]
async fn who_was_served_may_be_idle_for_longer() {
    let (mut server, mut client) = pair().await;
    let line = server.line.clone();
    let serving = line.serve();
    let mut byte = [0];
    let reading = tokio::time::timeout(Duration::from_mins(10), server.read(&mut byte));
    assert!(
        reading.await.is_err(),
        "a request that is served is not idle"
    );
    line.served();
    drop(serving);
    server.write_all(b"x").await.expect("room");
    client.read_exact(&mut [0]).await.expect("the answer");
    assert_eq!(silence(&mut server).await, (io::ErrorKind::TimedOut, 75));
}

#[tokio::test(start_paused = true)]
async fn who_was_admitted_may_be_silent_for_ever() {
    let (mut server, _client) = pair().await;
    let line = server.line.clone();
    line.admit();
    let mut byte = [0];
    let reading = tokio::time::timeout(Duration::from_secs(100_000), server.read(&mut byte));
    assert!(reading.await.is_err());
    assert!(server.waiting.is_none());
    assert!(line.0.entry.lock().stranger.is_none());
}

#[tokio::test]
async fn what_a_connection_counted_for_ends_with_it() {
    let (server, _client) = pair().await;
    let line = server.line.clone();
    assert!(line.0.entry.lock().stranger.is_some());
    drop(server);
    assert!(line.0.entry.lock().stranger.is_none());
}

#[tokio::test(start_paused = true)]
async fn what_is_written_prolongs_only_the_time_of_those_who_were_served() {
    for (flags, seconds) in [(0, 10), (SERVED, 175)] {
        let (server, mut client) = pair().await;
        server.line.raise(flags);
        let (mut reader, mut writer) = tokio::io::split(server);
        let write = async {
            for _ in 0..100 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let _ = writer.write_all(b"x").await;
            }
            std::future::pending::<()>().await;
        };
        let mut taken = vec![0; 100];
        let take = async {
            let _ = client.read_exact(&mut taken).await;
            std::future::pending::<()>().await;
        };
        let began = Instant::now();
        let mut byte = [0];
        let read = tokio::time::timeout(Duration::from_mins(10), reader.read(&mut byte));
        tokio::select! {
            read = read => assert!(read.expect("an end").is_err()),
            () = write => {}
            () = take => {}
        }
        assert_eq!(began.elapsed().as_secs(), seconds);
    }
}

/// A task, as far as it can be woken.
struct Task;

impl std::task::Wake for Task {
    fn wake(self: Arc<Self>) {}
}

#[tokio::test]
async fn a_task_that_has_written_is_not_kept() {
    let (mut server, _client) = pair().await;
    let task = Arc::new(Task);
    let waker = std::task::Waker::from(Arc::clone(&task));
    let written = Pin::new(&mut server).poll_write(&mut Context::from_waker(&waker), b"an answer");
    assert!(matches!(written, Poll::Ready(Ok(9))));
    drop(waker);
    assert_eq!(Arc::strong_count(&task), 1);
}

/// A short frame of a WebSocket, as a server sends it.
fn frame(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("short");
    [&[0x81, length], text.as_bytes()].concat()
}

#[tokio::test]
async fn frames_come_out_where_the_library_writes_their_place() {
    let (mut server, mut client) = pair().await;
    assert!(!server.line.splices());
    server
        .write_all(b"HTTP/1.1 101\r\n\r\n")
        .await
        .expect("room");
    server.flush().await.expect("room");
    server.write_all(&frame("40{}")).await.expect("room");
    assert!(server.line.splices(), "the library has spoken");
    let splice = server.line.splice();
    let mut number = None;
    let mut add = |frame: &Bytes| splice.add(frame.clone(), |it| number.replace(it).is_none());
    let short = [Bytes::from_static(b"one"), Bytes::from_static(b"two")];
    assert!(short.iter().all(&mut add));
    // More than a connection takes at once, so that it is written in many pieces.
    let long: Vec<Bytes> = (0..3_u8).map(|byte| vec![byte; 80_000].into()).collect();
    assert!(long.iter().all(&mut add));
    let place = frame(&format!(r#"42["{PLACE}",{}]"#, number.expect("a call")));
    let around = [frame("2"), place, frame("43[]")].concat();
    let expected = [b"HTTP/1.1 101\r\n\r\n".to_vec(), frame("40{}"), frame("2")];
    let spliced = [short.concat(), long.concat(), frame("43[]")];
    let expected = [expected.concat(), spliced.concat()].concat();
    let mut read = vec![0; expected.len()];
    let (written, taken) = tokio::join!(
        async {
            server.write_all(&around).await?;
            server.flush().await
        },
        client.read_exact(&mut read),
    );
    written.expect("the client reads");
    taken.expect("the server writes");
    assert!(read == expected, "in order and whole");
}

#[tokio::test]
async fn a_client_that_does_not_read_blocks_the_line_under_spliced_frames_too() {
    let (mut server, _client) = pair().await;
    server.flush().await.expect("room");
    assert!(!server.line.splices());
    server.flush().await.expect("room");
    server.write_all(&frame("40{}")).await.expect("room");
    let splice = server.line.splice();
    let mut written = 0;
    while !server.line.has(BLOCKED) {
        let mut place = Vec::new();
        splice.add(vec![0; 1 << 20].into(), |number| {
            place = frame(&format!(r#"42["{PLACE}",{number}]"#));
            true
        });
        let flushed = async {
            server.write_all(&place).await?;
            server.flush().await
        };
        let quiet = Duration::from_millis(300);
        let _ = tokio::time::timeout(quiet, flushed).await;
        written += 1;
        assert!(written < 100, "a connection has bounds");
    }
    assert!(!splice.is_clear());
}
