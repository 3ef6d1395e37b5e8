//! What is promised of frames that are spliced in: they come out whole, in their place, whatever
//! the library writes around them and however little is taken at a time.

use proptest::prelude::*;

use super::*;
use crate::limits::ConnectionSlots;

/// What a library writes, and what is spliced in at its places.
#[derive(Debug, Clone)]
enum Written {
    Own(Vec<u8>),
    Place(&'static str, u32, Vec<Vec<u8>>),
}

fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        short @ 0..126 => frame.push(u8::try_from(short).expect("short")),
        medium @ 126..65_536 => {
            frame.push(126);
            frame.extend(u16::try_from(medium).expect("medium").to_be_bytes());
        }
        long => {
            frame.push(127);
            frame.extend(u64::try_from(long).expect("long").to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

fn place(namespace: &str, number: u32) -> Vec<u8> {
    frame(
        1,
        format!(r#"42{namespace}["{PLACE}",{number}]"#).as_bytes(),
    )
}

fn written() -> impl Strategy<Value = Written> {
    let payload = prop_oneof![
        8 => proptest::collection::vec(any::<u8>(), 0..200),
        1 => proptest::collection::vec(any::<u8>(), 65_500..66_000),
    ];
    let own = (0_u8..16, payload).prop_map(|(opcode, payload)| frame(opcode, &payload));
    // Frames that look like a place and are none.
    let likely = prop_oneof![
        Just(r#"42["polychat:frames",-1]"#),
        Just(r#"42["polychat:frames",]"#),
        Just(r#"42["polychat:frames",4294967296]"#),
        Just(r#"42["polychat:frames",1,1]"#),
        Just(r#"420["polychat:frames",0]"#),
        Just(r#"43["polychat:frames",0]"#),
        Just(r#"42["x",["polychat:frames",0]]"#),
        Just(r#"42/a["polychat:frames",0]"#),
        Just("42/"),
        Just("2"),
    ];
    let likely = likely.prop_map(|text| frame(1, text.as_bytes()));
    let binary = Just(frame(2, format!(r#"42["{PLACE}",0]"#).as_bytes()));
    let spliced = proptest::collection::vec(any::<u8>(), 1..100);
    let spliced = proptest::collection::vec(spliced, 0..5);
    let place = (
        prop_oneof![Just(""), Just("/events,")],
        any::<u32>(),
        spliced,
    );
    prop_oneof![
        own.prop_map(Written::Own),
        likely.prop_map(Written::Own),
        binary.prop_map(Written::Own),
        place.prop_map(|(namespace, number, frames)| Written::Place(namespace, number, frames)),
    ]
}

proptest! {
    #[test]
    fn all_comes_out_whole_and_in_its_place(
        all in proptest::collection::vec(written(), 0..12),
        takes in proptest::collection::vec(1_usize..300, 1..50),
    ) {
        let mut waiting: VecDeque<(u32, Vec<Bytes>)> = VecDeque::new();
        let (mut bytes, mut expected): (Vec<u8>, Vec<u8>) = Default::default();
        for one in &all {
            match one {
                Written::Own(frame) => {
                    bytes.extend(frame);
                    expected.extend(frame);
                }
                Written::Place(namespace, number, frames) => {
                    bytes.extend(place(namespace, *number));
                    expected.extend(frames.concat());
                    let frames = frames.iter().cloned().map(Bytes::from).collect();
                    waiting.push_back((*number, frames));
                }
            }
        }
        let mut takes = takes.into_iter().cycle();
        let mut splicer = Splicer::default();
        splicer.begin();
        let mut out: Vec<u8> = Vec::new();
        let mut rest = &bytes[..];
        loop {
            while let Some(frames) = splicer.take() {
                let mut slices = [IoSlice::new(&[]); 3];
                let count = frames.slices(&mut slices);
                let all = slices[..count].iter().flat_map(|slice| slice.iter().copied());
                let some: Vec<u8> = all.take(takes.next().expect("endless")).collect();
                out.extend(&some);
                splicer.put_back(frames, some.len());
            }
            if rest.is_empty() {
                break;
            }
            match splicer.next(rest) {
                Next::Own(length) => {
                    let taken = length.min(takes.next().expect("endless"));
                    out.extend(&rest[..taken]);
                    splicer.pass(rest, taken);
                    prop_assert!(splicer.is_on());
                    rest = &rest[taken..];
                }
                Next::Place(length, number) => {
                    let (expected, frames) = waiting.pop_front().expect("one for each place");
                    prop_assert_eq!(number, expected);
                    splicer.put(frames);
                    rest = &rest[length..];
                }
            }
        }
        prop_assert!(waiting.is_empty());
        prop_assert_eq!(out, expected);
    }
}

#[test]
fn nothing_is_looked_at_before_frames_begin() {
    let mut splicer = Splicer::default();
    let place = place("", 1);
    assert_eq!(splicer.next(&place), Next::Own(place.len()));
    splicer.pass(&place, 3);
    assert!(!splicer.is_on() && !splicer.has_spoken());
}

#[test]
fn the_library_has_spoken_when_it_has_written_a_message() {
    let mut splicer = Splicer::default();
    splicer.begin();
    for (opcode, text, spoken) in [
        (1, r#"0{"sid":"a"}"#, false),
        (1, "2", false),
        (2, "4", false),
        (9, "4", false),
        (1, r#"40{"sid":"a"}"#, true),
    ] {
        let frame = frame(opcode, text.as_bytes());
        assert_eq!(splicer.next(&frame), Next::Own(frame.len()));
        splicer.pass(&frame, frame.len());
        assert_eq!(splicer.has_spoken(), spoken, "{text}");
    }
}

#[test]
fn frames_wait_for_their_own_places_only() {
    let line = Line::new([127, 0, 0, 1].into(), ConnectionSlots::default());
    let (one, other) = (line.splice(), line.splice());
    let taken = |splice: &Splice| line.0.spliced.lock().take(splice.number);
    let called = std::cell::RefCell::new(Vec::new());
    let add = |splice: &Splice, frame: &'static str| {
        splice.add(Bytes::from_static(frame.as_bytes()), |number| {
            called.borrow_mut().push(number);
            true
        })
    };
    assert!(add(&one, "1") && add(&one, "2") && add(&other, "a"));
    assert_eq!(*called.borrow(), [one.number, other.number], "once each");
    assert_eq!(taken(&one), ["1", "2"]);
    assert!(add(&one, "3"));
    assert_eq!(called.borrow().len(), 3, "the place before is gone");
    assert_eq!(taken(&one), ["3"]);
    assert_eq!(taken(&other), ["a"]);
    assert!(taken(&other).is_empty());
}

#[test]
fn what_was_added_goes_out_even_when_nobody_adds_any_more() {
    let line = Line::new([127, 0, 0, 1].into(), ConnectionSlots::default());
    let (one, other) = (line.splice(), line.splice());
    let (first, second) = (one.number, other.number);
    assert!(one.add(Bytes::from_static(b"last"), |_| true));
    drop(one);
    drop(other);
    let mut spliced = line.0.spliced.lock();
    assert_eq!(spliced.waiting.len(), 1);
    assert!(spliced.take(second).is_empty());
    assert_eq!(spliced.take(first), ["last"]);
    assert!(spliced.waiting.is_empty(), "nothing is kept of them");
}

#[test]
fn what_has_no_place_and_what_is_too_much_is_not_taken() {
    let line = Line::new([127, 0, 0, 1].into(), ConnectionSlots::default());
    let splice = line.splice();
    let frame = Bytes::from_static(b"frame");
    assert!(!splice.add(frame.clone(), |_| false));
    assert!(line.0.spliced.lock().take(splice.number).is_empty());
    let taken = std::iter::repeat_with(|| splice.add(frame.clone(), |_| true));
    assert_eq!(
        taken.take_while(|taken| *taken).take(1000).count(),
        MOST_FRAMES
    );
    line.0.spliced.lock().take(splice.number);
    let large: Bytes = vec![0; MOST_BYTES].into();
    assert!(splice.add(large, |_| true));
    assert!(!splice.add(frame.clone(), |_| true));
    line.0.spliced.lock().take(splice.number);
    assert!(splice.add(frame, |_| true));
}
