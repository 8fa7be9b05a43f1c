//! The folder of a report: `rows.csv` and `report.json`, a part each. Rows that are read, written and read again are the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reasonscope::eval::report::{folder as reports, rows};
use reasonscope::trace::Calibration;
use reasonscope_fuzz::{file, folder, parts};

fuzz_target!(|data: &[u8]| {
    let parts = parts(data);
    file("report/rows.csv", parts[0]);
    match parts.get(1) {
        Some(bytes) => drop(file("report/report.json", bytes)),
        None => drop(std::fs::remove_file(folder().join("report/report.json"))),
    }
    let path = folder().join("report");
    let _ = (reports::read(&path).map_err(|e| e.to_string()), reports::figures(&path).map_err(|e| e.to_string()));
    if let Ok(traces) = rows::read_csv(parts[0]) {
        let write = |traces: &_| {
            let mut out = Vec::new();
            rows::csv(traces, &Calibration::default(), &mut out).expect("rows are written");
            out
        };
        let written = write(&traces);
        let again = rows::read_csv(&written[..]).expect("what was written is read");
        assert_eq!(write(&again), written);
    }
});
