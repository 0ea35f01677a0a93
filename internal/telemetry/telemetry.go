package telemetry

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
)

// Telemetry is what a worker tells of itself.
type Telemetry struct {
	*Metrics
	Tracer *Tracer // nil: no traces
}

// New sets telemetry up. A collector that isn't there doesn't matter: its lack
// is noted in the log, and nothing waits for it.
func New(ctx context.Context, o Options) (*Telemetry, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.name", o.Service), attribute.String("service.instance.id", o.Worker),
		attribute.String("service.version", o.Version),
	), resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("%w: OTEL_RESOURCE_ATTRIBUTES: %w", ErrOptions, err)
	}
	t := &Telemetry{}
	if t.Metrics, err = newMetrics(ctx, &o, about); err != nil {
		return nil, err
	}
	if t.Tracer, err = newTracer(ctx, &o, about); err != nil {
		return nil, errors.Join(err, t.closeMetrics(ctx))
	}
	return t, nil
}

// Close tells the collector what it has not been told, as long as ctx lives.
func (t *Telemetry) Close(ctx context.Context) error {
	return errors.Join(t.Tracer.close(ctx), t.closeMetrics(ctx))
}
