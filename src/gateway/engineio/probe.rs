//! The upgrade of a session from polling to a WebSocket. A probe that fails ends the probe, never
//! the session: polling exists for the networks on which it fails.
//! Does not know the messages of the session.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{interval, timeout};

use super::carrier::RELEASE;
use super::server::Server;
use super::session::Session;
use crate::gateway::tcp::{GuardedStream, TcpHandle};
use crate::gateway::websocket::{BadHandshake, Connection, Decoder, Frame, Message, Upgrade};

/// How much is read at once.
const READ: usize = 256;

/// Upgrades the request, and has the WebSocket probed.
///
/// # Errors
/// The error in the request.
pub(super) fn begin(
    server: &Arc<Server>,
    session: Arc<Session>,
    handle: &TcpHandle,
    request: Request,
) -> Result<Response, BadHandshake> {
    let upgrade = Upgrade::of(&mut request.into_parts().0)?;
    handle.admit();
    let (response, stream) = upgrade.accept();
    let server = Arc::clone(server);
    server.tasks.clone().spawn(async move {
        if let Some((stream, read)) = stream.await {
            let mut decoder = Decoder::new(server.settings.max_payload);
            decoder.push(&read);
            probe(&server, session, stream, decoder).await;
        }
    });
    Ok(response)
}

async fn probe(
    server: &Server,
    session: Arc<Session>,
    mut stream: GuardedStream,
    mut decoder: Decoder,
) {
    if !session.begin_probe() {
        // It has a WebSocket already, or one is being probed.
        send_close(&mut stream, 1008).await;
        return;
    }
    let probed = converse(&mut stream, &mut decoder, &session);
    let probed = timeout(server.settings.upgrade, probed);
    // At shutdown the session ends in any case: the client comes back without this probe.
    let probed = session.closing.run_until_cancelled(probed).await;
    if matches!(probed, Some(Ok(Some(())))) && session.finish_probe() {
        let (closing, posted) = (session.closing.clone(), session.posted());
        let connection = Connection::new(stream, decoder, session, posted, closing);
        server.tasks.spawn(connection);
        return;
    }
    session.end_probe();
    send_close(&mut stream, 1000).await;
}

/// `2probe`, `3probe`, `5`; `None`: the client did something else, or has gone.
async fn converse(
    stream: &mut GuardedStream,
    decoder: &mut Decoder,
    session: &Session,
) -> Option<()> {
    if next(stream, decoder).await? != "2probe" {
        return None;
    }
    let answer = Frame::text(&[b"3probe"]).into_bytes();
    stream.write_all(&answer).await.ok()?;
    let mut release = interval(RELEASE);
    release.tick().await;
    let upgrade = next(stream, decoder);
    let mut upgrade = std::pin::pin!(upgrade);
    loop {
        tokio::select! {
            biased;
            packet = &mut upgrade => return (packet? == "5").then_some(()),
            _ = release.tick() => {
                if session.closed().is_some() {
                    return None;
                }
                session.release_poll();
            }
        }
    }
}

/// The next text; `None`: there is none.
async fn next(stream: &mut GuardedStream, decoder: &mut Decoder) -> Option<String> {
    let mut buffer = [0; READ];
    loop {
        match decoder.next().ok()? {
            Some(Message::Text(text)) => return Some(text.as_str().to_owned()),
            Some(Message::Ping(payload)) => {
                let pong = Frame::pong(&payload).into_bytes();
                stream.write_all(&pong).await.ok()?;
                continue;
            }
            Some(Message::Pong) => continue,
            Some(Message::Binary(_) | Message::Close(_)) => return None,
            None => {}
        }
        let read = stream
            .read(&mut buffer)
            .await
            .ok()
            .filter(|read| *read > 0)?;
        decoder.push(&buffer[..read]);
    }
}

async fn send_close(stream: &mut GuardedStream, code: u16) {
    let close = Frame::close(Some(code), "").into_bytes();
    // A client that does not read it counts as gone, too.
    let _ = timeout(RELEASE, stream.write_all(&close)).await;
    let _ = timeout(RELEASE, stream.shutdown()).await;
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
