//! What the short way past an outbox promises: that it is never a way past what waits.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::*;
use crate::hub::{Body, Closed, Next, OutboxLimits, Pressure};

/// Takes so many frames, and keeps them.
struct Socket {
    room: AtomicUsize,
    taken: Mutex<Vec<String>>,
    messages: AtomicUsize,
}

impl Socket {
    fn with_room(frames: usize) -> Arc<Self> {
        Arc::new(Self {
            room: AtomicUsize::new(frames),
            taken: Mutex::default(),
            messages: AtomicUsize::new(0),
        })
    }

    fn taken(&self) -> Vec<String> {
        self.taken.lock().clone()
    }
}

impl DirectSink for Socket {
    fn try_send(&self, frame: &Outgoing) -> bool {
        let room = self.room.load(Ordering::Relaxed);
        if room > 0 {
            self.room.store(room - 1, Ordering::Relaxed);
            self.taken.lock().push(frame.body.as_str().to_owned());
        }
        room > 0
    }

    fn delivered(&self, _: Instant) {
        self.messages.fetch_add(1, Ordering::Relaxed);
    }
}

fn frame(number: usize) -> Outgoing {
    Outgoing::bare(Body::from_json(number.to_string()))
}

fn outbox() -> Outbox {
    Outbox::new(OutboxLimits {
        frames: 4,
        bytes: 10_000,
    })
}

fn next(outbox: &Outbox) -> Option<String> {
    match outbox.take() {
        Next::Frame(frame) => Some(frame.body.as_str().to_owned()),
        _ => None,
    }
}

#[test]
fn it_is_open_once_the_sender_has_found_nothing() {
    let (outbox, socket) = (outbox(), Socket::with_room(10));
    let _attached = outbox.attach(socket.clone());
    outbox.push(frame(1)).expect("room");
    assert!(socket.taken().is_empty());
    assert_eq!(next(&outbox).as_deref(), Some("1"));
    // Number 1 is not sent yet, for all that is known.
    outbox.push(frame(2)).expect("room");
    assert!(socket.taken().is_empty());
    assert_eq!(next(&outbox).as_deref(), Some("2"));
    assert_eq!(next(&outbox), None);
    outbox.push(frame(3)).expect("room");
    outbox.respond(frame(4)).expect("room");
    assert_eq!(socket.taken(), ["3", "4"]);
    assert_eq!(next(&outbox), None);
}

#[test]
fn what_it_does_not_take_waits_and_so_does_what_follows() {
    let (outbox, socket) = (outbox(), Socket::with_room(1));
    let _attached = outbox.attach(socket.clone());
    assert_eq!(next(&outbox), None);
    outbox.push(frame(1)).expect("room");
    outbox.push(frame(2)).expect("room");
    socket.room.store(10, Ordering::Relaxed);
    outbox.push(frame(3)).expect("room");
    assert_eq!(socket.taken(), ["1"]);
    assert_eq!(next(&outbox).as_deref(), Some("2"));
    assert_eq!(next(&outbox).as_deref(), Some("3"));
}

#[test]
fn what_was_put_back_is_not_overtaken() {
    let (outbox, socket) = (outbox(), Socket::with_room(10));
    let _attached = outbox.attach(socket.clone());
    assert_eq!(next(&outbox), None);
    outbox.put_back(frame(1));
    outbox.push(frame(2)).expect("room");
    assert!(socket.taken().is_empty());
    outbox.respond_first(vec![frame(0)]);
    let all: Vec<_> = std::iter::from_fn(|| next(&outbox)).collect();
    assert_eq!(all, ["0", "1", "2"]);
}

#[test]
fn what_goes_this_way_fills_nothing() {
    let (outbox, socket) = (outbox(), Socket::with_room(100));
    let _attached = outbox.attach(socket.clone());
    assert_eq!(next(&outbox), None);
    for number in 0..100 {
        let durable = Instant::now();
        assert_eq!(outbox.deliver(frame(number), durable), Ok(Pressure::Normal));
    }
    assert_eq!(socket.taken().len(), 100);
    assert_eq!(socket.messages.load(Ordering::Relaxed), 100);
    assert!(outbox.written().is_none());
}

#[test]
fn a_client_that_takes_nothing_more_is_cut_off_all_the_same() {
    let (outbox, socket) = (outbox(), Socket::with_room(3));
    let _attached = outbox.attach(socket.clone());
    assert_eq!(next(&outbox), None);
    let told: Vec<_> = (0..8).map(|number| outbox.push(frame(number))).collect();
    assert_eq!(told.last(), Some(&Err(Closed::Lagging)));
    assert_eq!(socket.taken(), ["0", "1", "2"]);
}

#[test]
fn nothing_goes_this_way_once_it_is_closed_or_gone() {
    let (outbox, socket) = (outbox(), Socket::with_room(10));
    let attached = outbox.attach(socket.clone());
    assert_eq!(next(&outbox), None);
    drop(attached);
    outbox.push(frame(1)).expect("room");
    assert_eq!(next(&outbox).as_deref(), Some("1"));
    let _attached = outbox.attach(socket.clone());
    outbox.close(Closed::ShuttingDown);
    assert_eq!(outbox.push(frame(2)), Err(Closed::ShuttingDown));
    assert!(socket.taken().is_empty());
    assert_eq!(Arc::strong_count(&socket), 2);
}
