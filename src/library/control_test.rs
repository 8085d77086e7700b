use std::io::Write;

use api::control::RunState;

use super::*;
use crate::fixture::{LIMIT, engine};

#[test]
fn answers_and_events_in_between() {
    let (mut client, thread) = engine(|request| {
        let id = &request["id"];
        match request["execute"].as_str().unwrap() {
            "query-status" => vec![
                r#"{"event":"STOP","timestamp":{"seconds":1,"microseconds":2}}"#.into(),
                r#"{"event":"SOMETHING_NEW","data":{}}"#.into(),
                r#"{"event":"SHUTDOWN","data":{"guest":true,"reason":"guest-shutdown"}}"#.into(),
                "".into(),
                json!({"return": {"running": false, "status": "paused"}, "id": id}).to_string(),
            ],
            "x-dormer-serial-read" => {
                let from = request["arguments"]["from"].as_u64().unwrap();
                vec![json!({"return": {"from": from, "next": from + 2, "text": "ab"}, "id": id}).to_string()]
            }
            _ => {
                vec![json!({"error": {"class": "GenericError", "desc": "the drive\nis locked"}, "id": id}).to_string()]
            }
        }
    });
    let status = client.status().unwrap();
    assert_eq!(status, Status { running: false, status: RunState::Paused });
    assert_eq!(client.serial(7).unwrap().next, 9);
    let refused = client.execute(&Command::Eject { id: "cd0".into() }).unwrap_err();
    assert_eq!(refused.to_string(), "the drive is locked");
    assert!(matches!(client.text(), Err(Error::Refused(_))));
    assert_eq!(client.next_event(LIMIT).unwrap(), Some(Event::Stop {}));
    let shutdown = Event::Shutdown { guest: true, reason: "guest-shutdown".into() };
    assert_eq!(client.next_event(Duration::ZERO).unwrap(), Some(shutdown));
    assert_eq!(client.next_event(Duration::from_millis(10)).unwrap(), None);
    drop(client);
    thread.join().unwrap();
}

/// What a sample has is drawn and printed: an engine that lies has no more of it than a machine, and says nothing to a terminal.
#[test]
fn counters_are_as_many_and_as_plain_as_a_machine_s() {
    let name = format!("\x1b[2J{}", "x".repeat(2000));
    let (mut client, thread) = engine(move |request| {
        let answer = match request["execute"].as_str().unwrap() {
            "query-blockstats" => {
                let stats = json!({ "rd_bytes": 1, "wr_bytes": 2, "rd_operations": 3, "wr_operations": 4 });
                json!(vec![json!({ "device": name, "stats": stats }); 100])
            }
            "x-dormer-query-networks" => {
                let counters = json!({ "sent": 1, "sent-bytes": 1, "dropped": 1, "received": 1, "received-bytes": 1 });
                let mut card = json!({ "device": name, "mac": "52:54:00:00:00:01", "network": name, "plugged": true, "link": true, "captured": false });
                card.as_object_mut().unwrap().extend(counters.as_object().unwrap().clone());
                json!(vec![card; 100])
            }
            _ => json!({ "cpu-time": 1, "processors": 1, "memory": 1, "memory-size": 1 }),
        };
        vec![json!({ "return": answer, "id": request["id"] }).to_string()]
    });
    let sample = crate::usage::Sample::take(&mut client).unwrap();
    assert_eq!(sample.drives.len(), limits::DRIVES);
    assert_eq!(sample.networks.len(), limits::NETWORKS);
    let devices = sample.drives.iter().map(|drive| &drive.device);
    let names = devices.chain(sample.networks.iter().flat_map(|card| [&card.device, &card.network]));
    for name in names {
        assert!(name.len() <= 500 && !name.contains(char::is_control), "{name:?}");
    }
    drop(client);
    thread.join().unwrap();
}

#[test]
fn an_engine_that_ends_hangs_or_babbles() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    drop(theirs);
    assert!(matches!(Client::new(ours, LIMIT), Err(Error::Closed)));
    let (ours, _theirs) = UnixStream::pair().unwrap();
    assert!(matches!(Client::new(ours, Duration::from_millis(20)), Err(Error::Timeout(_))));
    for babble in ["SSH-2.0\n", "{}\n", "[\n"] {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(babble.as_bytes()).unwrap();
        assert!(matches!(Client::new(ours, LIMIT), Err(Error::Nonsense(_))), "{babble}");
    }
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let endless = std::thread::spawn(move || while theirs.write_all(&[b'x'; 65536]).is_ok() {});
    assert!(matches!(Client::new(ours, LIMIT), Err(Error::Nonsense(_))));
    endless.join().unwrap();

    let (mut client, thread) = engine(|_| vec!["{\"return\":{},\"id\":\"another\"}".into()]);
    client.set_limit(Duration::from_millis(20));
    assert!(matches!(client.status(), Err(Error::Timeout(_))));
    drop(client);
    thread.join().unwrap();
}

#[test]
fn descriptors_go_along() {
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
    let (ours, theirs) = UnixStream::pair().unwrap();
    let thread = std::thread::spawn(move || {
        (&theirs).write_all(b"{\"QMP\":{}}\n").unwrap();
        let mut found = Vec::new();
        for id in 1..=2 {
            let mut bytes = [0; 4096];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let mut buffers = [io::IoSliceMut::new(&mut bytes)];
            recvmsg(&theirs, &mut buffers, &mut ancillary, RecvFlags::CMSG_CLOEXEC).unwrap();
            for message in ancillary.drain() {
                if let RecvAncillaryMessage::ScmRights(fds) = message {
                    found.extend(fds);
                }
            }
            writeln!(&theirs, "{{\"return\":{{}},\"id\":{id}}}").unwrap();
        }
        found.len()
    });
    let mut client = Client::new(ours, LIMIT).unwrap();
    let file = tempfile::tempfile().unwrap();
    let format = api::machine::ImageFormat::Raw;
    client.execute_with(&Command::Insert { drive: "cd0".into(), format }, &[file.as_fd()]).unwrap();
    assert_eq!(thread.join().unwrap(), 1);
}
