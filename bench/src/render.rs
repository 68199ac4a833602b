//! The report for people: text on a terminal, or Markdown.

use std::fmt::{self, Write};

use crate::report::{Figure, Goal, Report, Run, Section, Unit};

/// The report as text.
pub(crate) fn text(report: &Report) -> Result<String, fmt::Error> {
    let mut out = String::new();
    writeln!(out, "{}", about(report))?;
    for section in &report.sections {
        writeln!(out, "\n{}: {}", section.scenario, section.about)?;
        if let Some(failure) = &section.failure {
            writeln!(out, "  FAILED: {failure}")?;
        }
        let rows = section
            .figures
            .iter()
            .map(|figure| figure_row(report, figure));
        columns(&mut out, &rows.collect::<Vec<_>>())?;
        if !section.runs.is_empty() {
            let rows = std::iter::once(RUN_HEAD.map(str::to_owned))
                .chain(section.runs.iter().map(run_row));
            columns(&mut out, &rows.collect::<Vec<_>>())?;
        }
    }
    Ok(out)
}

/// The report as Markdown: a table of figures, and one of runs.
pub(crate) fn markdown(report: &Report) -> Result<String, fmt::Error> {
    let mut out = String::new();
    writeln!(out, "{}\n", about(report))?;
    table(
        &mut out,
        FIGURE_HEAD,
        report.sections.iter().flat_map(|section| {
            section
                .figures
                .iter()
                .map(|figure| figure_row(report, figure))
        }),
    )?;
    writeln!(out)?;
    table(
        &mut out,
        RUN_HEAD,
        report
            .sections
            .iter()
            .flat_map(|section| section.runs.iter().map(run_row)),
    )?;
    writeln!(out)?;
    for Section {
        scenario,
        about,
        failure,
        ..
    } in &report.sections
    {
        writeln!(out, "- {scenario}: {about}")?;
        if let Some(failure) = failure {
            writeln!(out, "  **Failed**: {failure}")?;
        }
    }
    Ok(out)
}

fn about(report: &Report) -> String {
    let (machine, settings) = (&report.machine, &report.settings);
    let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
    format!(
        "{}{} cores ({}), Linux {}, {}; server {}; {}; client with {} threads",
        if settings.quick {
            "QUICK, the figures say nothing; "
        } else {
            ""
        },
        machine.cores,
        or(&machine.cpu),
        or(&machine.kernel),
        or(&machine.file_system),
        settings.server,
        settings.api,
        settings.threads
    )
}

const FIGURE_HEAD: [&str; 5] = ["what", "measured", "goal", "", "kube-apiserver and etcd"];

fn figure_row(report: &Report, figure: &Figure) -> [String; 5] {
    let unit = figure.unit;
    let goal = match figure.goal {
        None => String::new(),
        Some(Goal::AtLeast(goal)) => format!("at least {}", number(goal, unit)),
        Some(Goal::Under(goal)) => format!("under {}", number(goal, unit)),
    };
    let verdict = match figure.goal {
        Some(goal) if !report.settings.quick => match goal.missed_by(figure.value) {
            None => "reached".to_owned(),
            Some(part) => format!("missed by {:.0} %", (part * 100.0).ceil()),
        },
        _ => String::new(),
    };
    let peer = figure
        .peer
        .map(|peer| number(peer, unit))
        .unwrap_or_default();
    [
        figure.name.clone(),
        number(figure.value, unit),
        goal,
        verdict,
        peer,
    ]
}

const RUN_HEAD: [&str; 11] = [
    "run",
    "count",
    "per s",
    "p50 ms",
    "p99 ms",
    "p99.9 ms",
    "max ms",
    "server CPU s",
    "client CPU s",
    "client's part",
    "server RSS MB",
];

fn run_row(run: &Run) -> [String; 11] {
    let (latency, usage) = (&run.latency, &run.usage);
    let part = usage.client_part();
    let tenths = |value: Option<f64>| value.map(|value| format!("{value:.1}")).unwrap_or_default();
    [
        run.name.clone(),
        grouped(latency.count as f64),
        run.per_second.map(grouped).unwrap_or_default(),
        format!("{:.2}", latency.p50_ms),
        format!("{:.2}", latency.p99_ms),
        format!("{:.2}", latency.p999_ms),
        format!("{:.2}", latency.max_ms),
        tenths(usage.server_cpu_seconds),
        tenths(usage.client_cpu_seconds),
        part.map(|part| format!("{:.0} %", part * 100.0))
            .unwrap_or_default(),
        tenths(usage.server_rss_mb),
    ]
}

fn number(value: f64, unit: Unit) -> String {
    match unit {
        Unit::PerSecond => format!("{}/s", grouped(value)),
        Unit::Ms if value < 10.0 => format!("{value:.2} ms"),
        Unit::Ms => format!("{value:.1} ms"),
        Unit::Mb => format!("{value:.1} MB"),
        Unit::Bytes => format!("{} bytes", grouped(value)),
    }
}

/// A whole number with commas between its thousands.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Rows with their columns aligned: the first to the left, the others to the right.
fn columns<const N: usize>(out: &mut String, rows: &[[String; N]]) -> fmt::Result {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    for row in rows {
        let mut line = format!("  {:<width$}", row[0], width = widths[0]);
        for (cell, width) in row.iter().zip(widths).skip(1) {
            write!(line, "  {cell:>width$}")?;
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn table<const N: usize>(
    out: &mut String,
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> fmt::Result {
    writeln!(out, "| {} |", head.join(" | "))?;
    let rest = std::iter::repeat_n("---:", N - 1);
    writeln!(out, "| --- | {} |", rest.collect::<Vec<_>>().join(" | "))?;
    for row in rows {
        writeln!(out, "| {} |", row.join(" | "))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        for (value, text) in [
            (0.4, "0"),
            (999.0, "999"),
            (1000.0, "1,000"),
            (-1234567.0, "-1,234,567"),
        ] {
            assert_eq!(grouped(value), text);
        }
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut out = String::new();
        let row = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        columns(&mut out, &[row("ab", "1"), row("c", "22")]).unwrap();
        assert_eq!(out, "  ab   1\n  c   22\n");
    }
}
