import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { openApiDocument } from '@tributary/contracts/openapi/document'
import { routes } from '@tributary/contracts/routes'
import type { Route } from '@tributary/contracts/routes/route'
import { docsPage } from './docs-page.ts'
import { getDocs } from './get-docs.ts'
import { html } from './html.ts'

const page = docsPage(openApiDocument())

test('every route has its place on the page, with method, path, summary and who may call it', () => {
  for (const [name, route] of Object.entries(routes) as [string, Route][]) {
    const article = page.split(`<article id="${name}">`)[1]?.split('</article>')[0] ?? ''
    assert.ok(article.includes(`>${route.method}</span>`), name)
    assert.ok(article.replaceAll('<wbr>', '').includes(`>${route.path}</a>`), name)
    assert.ok(article.replaceAll(/<\/?code>/g, '').includes(html`${route.summary.replaceAll('`', '')}`.text), name)
    const access = { public: 'Open to everybody', role: 'Role ', certificate: 'Signed by the certificate' }
    assert.ok(article.includes(access[route.access.kind]), name)
    assert.equal(article.includes('<h4>Body</h4>'), route.body !== undefined, name)
  }
})

test('every link of the page leads to one place on it, or to the document', () => {
  const ids = [...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id)
  assert.equal(new Set(ids).size, ids.length)
  for (const [, target] of page.matchAll(/ href="([^"]+)"/g)) {
    assert.ok(target === 'openapi.json' || ids.includes(target?.slice(1) ?? ''), target)
  }
})

test('nothing of the document becomes markup, and the page loads and runs nothing', () => {
  const evil = '<script>alert(1)</script><img src=x onerror="x">'
  const document = openApiDocument() as { paths: Record<string, Record<string, Record<string, unknown>>> }
  const get = document.paths['/v1/health']?.get
  if (get === undefined) throw new Error('the document has no health')
  const hostile = {
    ...get,
    summary: evil,
    description: evil,
    parameters: [{ name: evil, in: evil, schema: { enum: [evil], default: evil } }],
  }
  const shown = docsPage({ ...document, paths: { '/v1/health': { get: hostile } } })
  for (const text of [page, shown]) {
    assert.equal(/<(script|img|iframe|link|object|embed|form|base)\b/i.test(text), false)
    assert.equal(/\b(src|srcset|onerror|onload)=/i.test(text.replaceAll('&lt;img src=x onerror=', '')), false)
  }
  assert.ok(shown.includes('&lt;script&gt;'))
})

test('the policy admits the style of the page and nothing else', async () => {
  const answer = (await getDocs()({} as never)) as { content: string; headers: Record<string, string> }
  const [, style = ''] = /<style>([\s\S]*?)<\/style>/.exec(answer.content) ?? []
  const hash = createHash('sha256').update(style).digest('base64')
  const policy = answer.headers['content-security-policy'] ?? ''
  assert.match(policy, /^default-src 'none'; /)
  assert.ok(policy.includes(`style-src 'sha256-${hash}'`), policy)
  assert.equal(/unsafe|\*|https?:/.test(policy), false)
})
