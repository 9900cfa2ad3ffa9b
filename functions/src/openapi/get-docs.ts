import { createHash } from 'node:crypto'
import { openApiDocument } from '@tributary/contracts/openapi/document'
import type { Handler } from '../http/handler.ts'
import { docsPage } from './docs-page.ts'
import { docsStyle } from './docs-style.ts'
import { onceMade } from './once-made.ts'

const styleHash = createHash('sha256').update(docsStyle).digest('base64')

/** The only page of the API: its own style by its hash, no script, nothing from elsewhere. */
const headers = {
  'content-security-policy': `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'cache-control': 'public, max-age=0, must-revalidate',
} as const

/** The OpenAPI document as a page for people. */
export const getDocs = (): Handler<'getDocs'> => {
  const page = onceMade(() => docsPage(openApiDocument()))
  return async () => ({ content: page(), headers })
}
