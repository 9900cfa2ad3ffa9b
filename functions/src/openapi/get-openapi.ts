import { openApiDocument } from '@tributary/contracts/openapi/document'
import type { Handler } from '../http/handler.ts'
import { onceMade } from './once-made.ts'

/** The OpenAPI document. Made when it is first asked for, so that no cold start pays for it. */
export const getOpenApi = (): Handler<'getOpenApi'> => {
  const document = onceMade(() => openApiDocument() as { openapi: string })
  return async () => document()
}
