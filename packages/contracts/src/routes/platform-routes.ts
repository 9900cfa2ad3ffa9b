import * as z from 'zod'
import { type Route, reading } from './route.ts'

export const platformRoutes = {
  getHealth: {
    ...reading,
    method: 'GET',
    path: '/v1/health',
    function: 'health',
    access: { kind: 'public' },
    summary: 'Whether the control plane and what it stands on answer.',
    answer: z.object({
      status: z.enum(['ok', 'degraded', 'down']),
      checks: z.record(z.string(), z.enum(['ok', 'down'])),
    }),
  },
} as const satisfies Record<string, Route>
