"""The runners: plan, batch and stream, the only place that knows there are two worlds."""
