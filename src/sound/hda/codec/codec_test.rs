use super::*;

/// What a driver asks.
fn ask(codec: &mut Codec, node: u32, verb: u32, payload: u32) -> u32 {
    codec.command(node << 20 | verb << 8 | payload).expect("the codec is there")
}

fn parameter(codec: &mut Codec, node: u32, parameter: u32) -> u32 {
    ask(codec, node, 0xf00, parameter)
}

/// The nodes below a node.
fn below(codec: &mut Codec, node: u32) -> std::ops::Range<u32> {
    let range = parameter(codec, node, 0x04);
    range >> 16..(range >> 16) + (range & 0xff)
}

#[test]
fn the_walk_of_a_driver() {
    let mut codec = Codec::new();
    assert_ne!(parameter(&mut codec, 0, 0x00), 0);
    let functions: Vec<u32> = below(&mut codec, 0).filter(|node| parameter(&mut Codec::new(), *node, 5) == 1).collect();
    assert_eq!(functions, [1]);
    let widgets = below(&mut codec, 1);
    assert_eq!(widgets, 2..6);
    let (mut outputs, mut inputs, mut pins) = (0, 0, Vec::new());
    for node in widgets.clone() {
        let capabilities = parameter(&mut codec, node, 0x09);
        let count = parameter(&mut codec, node, 0x0e);
        assert_eq!(capabilities >> 8 & 1 != 0, count > 0, "node {node}");
        // Short entries, and every one of them a widget.
        assert_eq!(count & 0x80, 0);
        for i in 0..count {
            let entry = ask(&mut codec, node, 0xf02, i & !3) >> (8 * (i & 3)) & 0xff;
            assert!(widgets.contains(&entry), "node {node} has {entry} in its list");
        }
        assert_eq!(ask(&mut codec, node, 0xf02, count), 0);
        let amplifiers = [(1, 0x0d), (2, 0x12)];
        for (bit, which) in amplifiers {
            let has = capabilities >> bit & 1 != 0;
            assert_eq!(has, parameter(&mut codec, node, which) != 0, "node {node}");
            assert!(!has || capabilities >> 3 & 1 != 0);
        }
        match capabilities >> 20 & 0xf {
            kind @ (0 | 1) => {
                *if kind == 0 { &mut outputs } else { &mut inputs } += 1;
                assert_ne!(capabilities >> 4 & 1, 0, "formats of its own");
                assert_eq!(parameter(&mut codec, node, 0x0a), 0x001e_07ff);
                assert_eq!(parameter(&mut codec, node, 0x0b), 1);
            }
            4 => {
                let pin = parameter(&mut codec, node, 0x0c);
                let configuration = ask(&mut codec, node, 0xf1c, 0);
                // A jack, in a group, of a kind that fits the direction.
                assert_eq!(configuration >> 30, 0);
                assert_ne!(configuration >> 4 & 0xf, 0);
                let kind = configuration >> 20 & 0xf;
                assert_eq!((pin >> 4 & 1, pin >> 5 & 1), if kind == 0 { (1, 0) } else { (0, 1) });
                pins.push((kind, configuration >> 4 & 0xf));
            }
            other => panic!("node {node} is of kind {other}"),
        }
    }
    assert_eq!((outputs, inputs), (1, 1));
    assert_eq!(pins, [(0, 1), (0xa, 2)]);
}

#[test]
fn who_answers() {
    let mut codec = Codec::new();
    assert_eq!(codec.command(1 << 28 | 0xf0000), None);
    for absent in [6, 0x7f, 0x80, 0x81, 0xff] {
        assert_eq!(parameter(&mut codec, absent, 0), 0);
    }
    assert_eq!(ask(&mut codec, 2, 0x123, 0x45), 0);
}

#[test]
fn what_is_set_is_there() {
    let mut codec = Codec::new();
    for node in [2, 4] {
        ask(&mut codec, node, 0x706, 0x52);
        assert_eq!(ask(&mut codec, node, 0xf06, 0), 0x52);
        ask(&mut codec, node, 0x200, 0x4031);
        assert_eq!(ask(&mut codec, node, 0xa00, 0), 0x4031);
    }
    assert_eq!((codec.output().tag(), codec.output().channel()), (5, 2));
    ask(&mut codec, 3, 0x707, 0xff);
    ask(&mut codec, 5, 0x707, 0xff);
    assert_eq!((ask(&mut codec, 3, 0xf07, 0), ask(&mut codec, 5, 0xf07, 0)), (0x40, 0x27));
    ask(&mut codec, 3, 0x70c, 0xff);
    assert_eq!(ask(&mut codec, 3, 0xf0c, 0), 2);
    ask(&mut codec, 1, 0x705, 3);
    assert_eq!(ask(&mut codec, 1, 0xf05, 0), 0x33);
    ask(&mut codec, 1, 0x705, 4);
    assert_eq!(ask(&mut codec, 1, 0xf05, 0), 0x33);
    for (i, byte) in [0x11, 0x22, 0x33, 0x44].into_iter().enumerate() {
        ask(&mut codec, 1, 0x720 + i as u32, byte);
        ask(&mut codec, 5, 0x71c + i as u32, byte);
    }
    assert_eq!((ask(&mut codec, 1, 0xf20, 0), ask(&mut codec, 5, 0xf1c, 0)), (0x4433_2211, 0x4433_2211));
    // What the firmware said outlives a reset of the function; nothing else does.
    ask(&mut codec, 1, 0x7ff, 0);
    assert_eq!((ask(&mut codec, 1, 0xf20, 0), ask(&mut codec, 5, 0xf1c, 0)), (0x4433_2211, 0x4433_2211));
    assert_eq!((codec.output().tag(), ask(&mut codec, 1, 0xf05, 0), ask(&mut codec, 2, 0xa00, 0)), (0, 0, 0x11));
}

#[test]
fn amplifiers() {
    let mut codec = Codec::new();
    // The output's has no input side, and the input's no output side.
    ask(&mut codec, 2, 0x300, 0x4000 | 0x3000 | 0x80);
    ask(&mut codec, 4, 0x300, 0x8000 | 0x3000 | 0x80);
    // Nor are there any with an index.
    ask(&mut codec, 4, 0x300, 0x4000 | 0x3000 | 0x180);
    assert_eq!(ask(&mut codec, 2, 0xb00, 0x8000 | 0x2000), 87);
    assert_eq!(ask(&mut codec, 4, 0xb00, 0x2000), 87);
    assert_eq!(ask(&mut codec, 4, 0xb00, 0x8000), 0);
    ask(&mut codec, 2, 0x300, 0x8000 | 0x2000 | 0x80 | 10);
    ask(&mut codec, 2, 0x300, 0x8000 | 0x1000 | 20);
    assert_eq!(ask(&mut codec, 2, 0xb00, 0x8000 | 0x2000), 0x80 | 10);
    assert_eq!(ask(&mut codec, 2, 0xb00, 0x8000), 20);
    let [left, right] = codec.output_factors();
    assert_eq!((left, right == Factor::SILENCE), (Factor::SILENCE, false));
    assert!(codec.is_possible());
}

#[test]
fn what_silences() {
    let silences: [&[(u32, u32, u32)]; 3] = [&[(1, 0x705, 3)], &[(3, 0x707, 0)], &[(3, 0x70c, 0)]];
    for verbs in silences {
        let mut codec = Codec::new();
        assert_ne!(codec.output_factors(), [Factor::SILENCE; 2]);
        for (node, verb, payload) in verbs {
            ask(&mut codec, *node, *verb, *payload);
        }
        assert_eq!(codec.output_factors(), [Factor::SILENCE; 2], "{verbs:?}");
    }
    let mut codec = Codec::new();
    ask(&mut codec, 5, 0x707, 0);
    assert_eq!(codec.input_factors(), [Factor::SILENCE; 2]);
}
