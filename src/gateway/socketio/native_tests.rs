//! Compares this decoder with the published parser of the protocol.
//! Does not know the meaning of events.

use proptest::prelude::*;
use socketioxide_core::Value;
use socketioxide_core::packet::PacketData;
use socketioxide_core::parser::{Parse, ParseConfig, ParserState};
use socketioxide_parser_common::CommonParser;

use super::*;

/// The data, the number of the acknowledgement, and whether there are attachments.
type Parsed = (String, Option<i64>, bool);

fn parsed(text: &str, attachments: usize) -> Option<Parsed> {
    let (config, state) = (ParseConfig::default(), ParserState::default());
    let mut packet = CommonParser.decode_str(&config, &state, text.to_owned().into());
    for _ in 0..attachments {
        assert!(packet.is_err(), "attachments are missing");
        packet = CommonParser.decode_bin(&config, &state, Bytes::from("x"));
    }
    match packet.ok()?.inner {
        PacketData::Event(Value::Str(text, attachments), ack)
        | PacketData::BinaryEvent(Value::Str(text, attachments), ack) => {
            Some((text.to_string(), ack, attachments.is_some()))
        }
        _ => None,
    }
}

fn decoded(text: &str, attachments: usize) -> Option<Parsed> {
    let packet = Packet::parse(text)?;
    let (native, text) = (Native::default(), Utf8Bytes::from(text));
    let mut event = native.event(&packet, packet.list()?, &text);
    for _ in 0..attachments {
        assert!(event.is_none(), "attachments are missing");
        event = native.attachment();
    }
    let EventPacket {
        text,
        ack,
        attachments,
    } = event?;
    Some((text.to_string(), ack, attachments))
}

proptest! {
    #[test]
    fn the_published_parser_reads_the_same(
        namespace in prop::option::of("/[a-zé/]{0,5},"),
        ack in prop::option::of(prop_oneof!["[0-9]{1,3}", Just(i64::MAX.to_string()), "[0-9]{25}"]),
        attachments in 0_usize..4,
        name in "[a-zé\\[{,]{0,5}",
        arguments in r#"(,("[0-9é]{0,5}"|\{\}|\[ 1 \]|null)){0,3}"#,
    ) {
        let kind = match attachments {
            0 => "2".to_owned(),
            attachments => format!("5{attachments}-"),
        };
        let (namespace, ack) = (namespace.unwrap_or_default(), ack.unwrap_or_default());
        let text = format!(r#"{kind}{namespace}{ack}["{name}"{arguments}]"#);
        let event = decoded(&text, attachments);
        prop_assert!(event.is_some(), "{text}");
        prop_assert_eq!(event, parsed(&text, attachments), "{}", text);
    }
}
