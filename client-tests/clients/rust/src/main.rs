//! Connects `rust_socketio` to a server, and prints its events until standard input ends: a JSON
//! object a line.
//!
//! Does not know the meaning of a message. Usage: `rust-client URL websocket|polling|upgraded
//! TOKEN`

use std::error::Error;
use std::io;

use rust_socketio::{ClientBuilder, Event, Payload, TransportType};
use serde_json::{Value, json};

/// Prints one event.
fn report(event: &str, payload: Payload) {
    let detail = match payload {
        Payload::Text(mut values) => values.pop().unwrap_or_default(),
        Payload::Binary(bytes) => json!(bytes.to_vec()),
        #[allow(deprecated)]
        Payload::String(text) => Value::String(text),
    };
    println!("{}", json!({ "event": event, "detail": detail }));
}

fn transport_of(name: &str) -> Result<TransportType, String> {
    match name {
        "websocket" => Ok(TransportType::Websocket),
        "polling" => Ok(TransportType::Polling),
        "upgraded" => Ok(TransportType::WebsocketUpgrade),
        other => Err(format!("'{other}' is no transport")),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, transport, token] = arguments.as_slice() else {
        return Err("usage: rust-client URL websocket|polling|upgraded TOKEN".into());
    };
    let _client = ClientBuilder::new(url)
        .transport_type(transport_of(transport)?)
        .auth(json!({ "token": token }))
        .reconnect_on_disconnect(true)
        .on(Event::Connect, |payload, _| report("connected", payload))
        .on(Event::Close, |payload, _| report("disconnected", payload))
        .on(Event::Error, |payload, _| report("error", payload))
        .on("new-message", |payload, _| report("message", payload))
        .connect()?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
