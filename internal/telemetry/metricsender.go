package telemetry

import (
	"context"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// metricSender says itself what is wrong with the collector.
type metricSender struct {
	sdkmetric.Exporter
	report func(error)
}

// Export implements sdkmetric.Exporter.
func (s *metricSender) Export(ctx context.Context, m *metricdata.ResourceMetrics) error {
	s.report(s.Exporter.Export(ctx, m))
	return nil
}
