//! Evaluation: reranking, localisation, calibration, statistics, reports.
