use super::*;
use crate::eval::parts::chart::{Line, ReliabilityBin};
use crate::eval::stats::Interval;

fn interval(estimate: f64) -> Interval {
    Interval { estimate, low: estimate - 0.05, high: estimate + 0.05 }
}

fn chart(kind: ChartKind) -> Chart {
    Chart { name: "c".into(), title: "A title <of> it".into(), kind }
}

fn lines(series: Vec<Line>) -> Chart {
    chart(ChartKind::Lines { x: "N".into(), y: "accuracy".into(), log_x: true, percent: true, series })
}

fn line(name: &str, values: &[(f64, f64)]) -> Line {
    Line { name: name.into(), points: values.iter().map(|v| (v.0, interval(v.1))).collect() }
}

/// One of each kind, with what is not known among it; and the names that must be readable in it.
fn each_kind() -> Vec<(Chart, Vec<&'static str>)> {
    let nan = f64::NAN;
    let bins = [(0.1, 0.12, 30), (0.5, 0.6, 12), (0.9, 0.85, 3)];
    let bins = bins.map(|(predicted, observed, count)| ReliabilityBin { predicted, observed: interval(observed), count });
    vec![
        (
            lines(vec![line("majority & co", &[(1.0, 0.3), (4.0, nan), (16.0, 0.6)]), line("reward", &[(4.0, 0.5)]), line("none", &[])]),
            vec!["majority &amp; co", "reward", "none (no data)", "accuracy", "16", "A title &lt;of&gt; it"],
        ),
        (
            chart(ChartKind::Histogram {
                x: "reward".into(),
                edges: vec![f64::NEG_INFINITY, -1.0, 0.0, 1.0],
                series: vec![("right".into(), vec![1, 5, 9]), ("wrong".into(), vec![7, 4, 0]), ("open".into(), vec![0, 0, 0])],
            }),
            vec!["right (n\u{a0}=\u{a0}15)", "wrong (n\u{a0}=\u{a0}11)", "open (n\u{a0}=\u{a0}0)", "below"],
        ),
        (chart(ChartKind::Reliability { bins: bins.to_vec() }), vec!["perfectly calibrated", "n\u{a0}=\u{a0}45"]),
        (
            chart(ChartKind::Bars {
                x: "position".into(),
                y: "hits".into(),
                percent: true,
                groups: vec!["first".into(), "last".into()],
                series: vec![
                    ("reward".into(), vec![Some(interval(0.4)), None]),
                    ("chance".into(), vec![Some(interval(nan)), Some(interval(-0.1))]),
                ],
            }),
            vec!["first", "last", "reward", "chance", "hits"],
        ),
        (
            chart(ChartKind::Heat {
                value: "gain".into(),
                y: "reward from".into(),
                x: "candidates from".into(),
                rows: vec!["gsm8k".into(), "math".into()],
                columns: vec!["stories".into(), "countdown".into()],
                values: vec![vec![Some(12.3), Some(-4.0)], vec![None, Some(nan)]],
            }),
            vec!["gsm8k", "math", "stories", "countdown", "12.3", "−4.0", "gain"],
        ),
    ]
}

/// Every number of every attribute, and none that is not one.
fn numbers(svg: &str) -> Vec<f64> {
    let mut out = Vec::new();
    for key in ["x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "width", "height", "points", "font-size", "stroke-width"] {
        for part in svg.split(&format!(" {key}=\"")).skip(1) {
            let value = part.split('"').next().unwrap();
            out.extend(
                value.split([',', ' ']).filter(|v| !v.is_empty()).map(|v| v.parse::<f64>().unwrap_or_else(|_| panic!("{key}={value}"))),
            );
        }
    }
    out
}

#[test]
fn svg_names_its_series_and_stays_in_its_frame() {
    for (chart, names) in each_kind() {
        let svg = svg(&chart).unwrap();
        let flat = svg.replace('\n', "");
        crate::util::html::tests::balanced(&svg).unwrap();
        for name in names {
            assert!(flat.contains(&format!(">{name}<")) || flat.contains(name), "{name} in {:?}", chart.kind);
        }
        let limit = f64::from(WIDTH) * FINE;
        assert!(numbers(&svg).iter().all(|v| v.is_finite() && *v >= -limit && *v <= limit), "{:?}", chart.kind);
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"900\" height=\"560\" viewBox=\"0 0 3600 2240\""));
        assert!(!svg_untitled(&chart).unwrap().contains(">\nA title"));
    }
}

#[test]
fn png_has_its_size_and_is_not_blank() {
    for (chart, _) in each_kind() {
        let file = png(&chart).unwrap();
        let mut reader = ::png::Decoder::new(std::io::Cursor::new(&file)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (WIDTH * DENSITY, HEIGHT * DENSITY));
        let inked = pixels.chunks(3).filter(|p| p.iter().any(|c| *c < 0xF0)).count();
        assert!(inked > 5_000 && inked < pixels.len() / 4, "{inked} in {:?}", chart.kind);
        assert!(pixels[..3 * 100].iter().all(|p| *p == 0xFF), "the border is white");
    }
}

#[test]
fn a_chart_without_data_says_so() {
    let nan = f64::NAN;
    let bin = ReliabilityBin { predicted: nan, observed: interval(0.5), count: 1 };
    for kind in [
        lines(vec![]).kind,
        lines(vec![line("a", &[(1.0, nan), (0.0, 0.5)])]).kind,
        ChartKind::Histogram { x: String::new(), edges: vec![], series: vec![] },
        ChartKind::Histogram { x: String::new(), edges: vec![0.0, 1.0], series: vec![("a".into(), vec![0])] },
        ChartKind::Reliability { bins: vec![bin] },
        ChartKind::Bars {
            x: String::new(),
            y: String::new(),
            percent: true,
            groups: vec!["g".into()],
            series: vec![("a".into(), vec![None])],
        },
        ChartKind::Heat {
            value: String::new(),
            y: String::new(),
            x: String::new(),
            rows: vec!["r".into()],
            columns: vec![],
            values: vec![],
        },
    ] {
        let chart = chart(kind);
        assert!(svg(&chart).unwrap().contains("no data"), "{chart:?}");
        png(&chart).unwrap();
    }
}

#[test]
fn many_series_all_stand_in_the_legend_or_are_counted() {
    let names: Vec<String> = (0..40).map(|i| format!("method number {i}")).collect();
    let series = |n: usize| names[..n].iter().enumerate().map(|(i, s)| line(s, &[(1.0, 0.1), (8.0, 0.2 + 0.01 * i as f64)])).collect();
    let all = svg(&lines(series(21))).unwrap();
    assert!(names[..21].iter().all(|n| all.contains(n.as_str())));
    assert!(svg(&lines(series(40))).unwrap().contains(" more\n"));
}

#[test]
fn extreme_values_do_not_leave_the_frame() {
    let far = [(1.0, 1e300), (2.0, -1e300), (1e9, 0.0)];
    let kind = ChartKind::Lines { x: "x".into(), y: "y".into(), log_x: false, percent: false, series: vec![line("far", &far)] };
    let svg = svg(&chart(kind)).unwrap();
    assert!(numbers(&svg).iter().all(|v| v.abs() <= 4.0 * f64::from(WIDTH)));
}
