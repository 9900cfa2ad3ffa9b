import { deploymentRoutes } from './routes/deployment-routes.ts'
import { fleetRoutes } from './routes/fleet-routes.ts'
import { modelRoutes } from './routes/model-routes.ts'
import { nodeRoutes } from './routes/node-routes.ts'
import { platformRoutes } from './routes/platform-routes.ts'
import type { Route } from './routes/route.ts'
import { taskRoutes } from './routes/task-routes.ts'

/** The one table that drives routing, validation, authorisation and OpenAPI. Names are operation ids. */
export const routes = {
  ...platformRoutes,
  ...taskRoutes,
  ...modelRoutes,
  ...fleetRoutes,
  ...deploymentRoutes,
  ...nodeRoutes,
} as const satisfies Record<string, Route>

export type RouteName = keyof typeof routes
