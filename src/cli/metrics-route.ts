import { BackdialError } from '../core/errors.ts';
import type { Metrics } from '../metrics/server-metrics.ts';
import type { ApiRoute } from '../net/api-route.ts';

/** `GET /metrics`, for Prometheus. */
export function metricsRoute(metrics: () => Metrics | null): ApiRoute {
  return {
    method: 'GET',
    path: '/metrics',
    operation: {
      summary: 'Metrics, in the text format of Prometheus',
      responses: { 200: { description: 'the metrics', schema: { type: 'string' }, type: 'text/plain' } },
    },
    handle: async () => {
      const read = await metrics()?.text();
      if (read === undefined) throw new BackdialError('api-not-found', 'nothing is measured');
      return { bytes: Buffer.from(read.text, 'utf8'), type: read.type };
    },
  };
}
