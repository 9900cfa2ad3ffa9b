import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BookPage, DeploymentBook } from './deployment-book.ts'
import type { DeploymentOffer } from './deployment-offer.ts'

const id = (number: number) => `01890a5d-ac96-774b-bcce-${number.toString(16).padStart(12, '0')}`
const file = (name: string, bytes = 10) => ({ sha256: Buffer.from(name).toString('hex').padEnd(64, '0'), bytes })
/** Deployments are numbered by time; each has files of its own but the graph. */
const offer = (number: number, fields: Partial<DeploymentOffer> = {}): DeploymentOffer => ({
  deployment: id(number),
  revision: 1,
  model: id(1000),
  modelName: 'digits',
  version: id(2000 + number),
  versionNumber: number,
  groups: [],
  token: `token ${number}`,
  weights: file(`weights ${number}`),
  manifest: file(`manifest ${number}`),
  graph: file('graph'),
  ...fields,
})
const states = (book: DeploymentBook) =>
  book.states.map(
    ({ deployment, revision, state }) => `${Number.parseInt(deployment.slice(-12), 16)} r${revision} ${state}`,
  )
const numberServed = (book: DeploymentBook) => [...book.serving.values()].map(({ versionNumber }) => versionNumber)
const serve = (book: DeploymentBook, ...offers: DeploymentOffer[]) => {
  book.follow(offers)
  for (const next of book.outstanding) book.passed(next)
}

test('what is wanted is pulled, then served, and a new revision of the same is only said', () => {
  const book = new DeploymentBook()
  assert.deepEqual(states(book), [])
  book.follow([offer(1)])
  assert.deepEqual([states(book), numberServed(book)], [['1 r1 pulling'], []])
  book.passed(offer(1))
  assert.deepEqual([states(book), numberServed(book)], [['1 r1 serving'], [1]])
  book.follow([offer(1, { revision: 2, token: 'fresh' })])
  assert.deepEqual([states(book), book.outstanding], [['1 r2 serving'], []])
  assert.ok(!JSON.stringify(book.page).includes('token'), 'tokens are not written down')
})

test('the version in service stays until the next has passed, and altogether where that fails', () => {
  const book = new DeploymentBook()
  serve(book, offer(1))
  book.follow([offer(2)])
  assert.deepEqual([states(book), numberServed(book)], [['2 r1 pulling'], [1]])
  book.failed(offer(2), 'NaN')
  assert.deepEqual([states(book), numberServed(book)], [['2 r1 unhealthy'], [1]])
  assert.deepEqual(book.outstanding, [])
  // Central takes it back: the first was in service all the time.
  book.follow([offer(1, { revision: 3 })])
  assert.deepEqual([states(book), numberServed(book)], [['1 r3 serving', '2 r1 rolled-back'], [1]])
  assert.equal(book.states[1]?.detail, 'NaN')
})

test('what failed is tried again with the next revision', () => {
  const book = new DeploymentBook()
  book.follow([offer(1)])
  book.failed(offer(1), 'full')
  book.follow([offer(1, { revision: 2 })])
  assert.deepEqual([states(book), book.outstanding.length], [['1 r2 pulling'], 1])
  book.passed(offer(1, { revision: 2 }))
  assert.deepEqual(states(book), ['1 r2 serving'])
})

test('a roll back finds the files of the version before, and those of the one that went back go', () => {
  const book = new DeploymentBook()
  serve(book, offer(1))
  serve(book, offer(2))
  assert.deepEqual(numberServed(book), [2])
  for (const { sha256 } of [offer(1).weights, offer(2).weights, offer(1).graph]) assert.ok(book.files.has(sha256))
  book.follow([offer(1, { revision: 4 })])
  assert.deepEqual([states(book), numberServed(book)], [['1 r4 pulling', '2 r1 rolled-back'], [2]])
  book.passed(offer(1, { revision: 4 }))
  assert.deepEqual([states(book), numberServed(book)], [['1 r4 serving', '2 r1 rolled-back'], [1]])
  assert.ok(!book.files.has(offer(2).weights.sha256))
})

test('a version that turns out bad in service makes way for the one before, and is tried again with the next revision', () => {
  const book = new DeploymentBook()
  serve(book, offer(1))
  serve(book, offer(2))
  assert.equal(book.unhealthy(id(7), 'not here'), false)
  assert.equal(book.unhealthy(id(2), 'NaN'), true)
  assert.deepEqual([states(book), numberServed(book), book.states[0]?.detail], [['2 r1 unhealthy'], [1], 'NaN'])
  assert.equal(book.unhealthy(id(2), 'NaN'), false)
  // The same once more, after a restart too, is no reason to try it.
  const again = new DeploymentBook(BookPage.parse(JSON.parse(JSON.stringify(book.page))))
  again.follow([offer(2)])
  assert.deepEqual([states(again), numberServed(again), again.outstanding], [['2 r1 unhealthy'], [1], []])
  again.follow([offer(2, { revision: 2 })])
  assert.deepEqual([states(again), again.outstanding.length], [['2 r2 pulling'], 1])
  again.follow([offer(1, { revision: 3 })])
  assert.deepEqual([states(again), numberServed(again)], [['1 r3 serving', '2 r2 rolled-back'], [1]])
})

test('the only version that there was is served no more once it turns out bad', () => {
  const book = new DeploymentBook()
  serve(book, offer(1))
  assert.equal(book.unhealthy(id(1), 'NaN'), true)
  assert.deepEqual([states(book), numberServed(book), book.outstanding], [['1 r1 unhealthy'], [], []])
})

test('a newer deployment takes the place of an older one without a word of the older', () => {
  const book = new DeploymentBook()
  serve(book, offer(1))
  serve(book, offer(2))
  assert.deepEqual(states(book), ['2 r1 serving'])
  serve(book, offer(3))
  assert.ok(!book.files.has(offer(1).weights.sha256), 'one former version a model')
  assert.ok(book.files.has(offer(2).weights.sha256))
})

test('without a deployment of the model nothing of it stays, and the last ones that went back are told of', () => {
  const book = new DeploymentBook()
  const other = offer(50, { model: id(1001) })
  serve(book, offer(1), other)
  serve(book, offer(2), other)
  book.follow([other])
  assert.deepEqual([states(book), numberServed(book)], [['50 r1 serving', '2 r1 rolled-back'], [50]])
  assert.deepEqual(book.files, new Set([other.weights, other.manifest, other.graph].map(({ sha256 }) => sha256)))
  for (let number = 100; number < 120; number += 1) {
    book.follow([offer(number), other])
    book.follow([other])
  }
  assert.equal(states(book).filter(text => text.endsWith('rolled-back')).length, 16)
  assert.ok(states(book).includes('119 r1 rolled-back'))
  book.follow([offer(119, { revision: 2 }), other])
  assert.ok(!states(book).includes('119 r1 rolled-back'), 'it is wanted again')
})

test('a restart says what was served and what failed before the node has said anything', () => {
  const book = new DeploymentBook()
  serve(book, offer(1))
  book.follow([offer(2)])
  book.failed(offer(2), 'no')
  const again = new DeploymentBook(BookPage.parse(JSON.parse(JSON.stringify(book.page))))
  assert.deepEqual(states(again), ['1 r1 serving', '2 r1 unhealthy'])
  again.follow([offer(2)])
  assert.deepEqual([states(again), again.outstanding], [['2 r1 unhealthy'], []])
})

test('bytes count once for a file that several versions share', () => {
  const book = new DeploymentBook()
  serve(book, offer(1))
  serve(book, offer(2))
  // Two files for each of three versions and one graph.
  assert.equal(book.bytesWith(offer(3)), 70)
  assert.equal(book.forgetFormer(), true)
  assert.equal(book.bytesWith(offer(3)), 50)
  assert.equal(book.forgetFormer(), false)
})

const record = (number: number, weights?: string) => ({
  deployment: id(number),
  key: 'a'.repeat(64),
  result: { outcome: weights === undefined ? 'global' : 'personal' } as const,
  ...(weights !== undefined && { weights: file(weights) }),
})
const wished = (number: number) =>
  offer(number, {
    personalise: { dataset: 'd', localEpochs: 1, batchSize: 1, learningRate: 1, optimizer: 'sgd', frozen: [] },
  })
const weightsServed = (book: DeploymentBook) => [...book.serving.values()].map(({ weights }) => weights.sha256)

test('a version that was fitted to the device is served in place of the released one, whose files stay', () => {
  const book = new DeploymentBook()
  serve(book, wished(1))
  assert.deepEqual(
    book.wished().map(({ deployment }) => deployment),
    [id(1)],
  )
  assert.equal(book.states[0]?.personalised, undefined)
  assert.equal(book.fitted(record(1, 'own')), true)
  assert.equal(book.fitted(record(1, 'own')), false, 'it is served already')
  assert.deepEqual(weightsServed(book), [file('own').sha256])
  assert.deepEqual(book.states[0]?.personalised, { outcome: 'personal' })
  for (const name of ['own', 'weights 1', 'manifest 1', 'graph']) assert.ok(book.files.has(file(name).sha256), name)
  assert.equal(book.bytesWith(offer(2)), 6 * 10)
  // A restart: the same is served, and known.
  const again = new DeploymentBook(BookPage.parse(JSON.parse(JSON.stringify(book.page))))
  assert.deepEqual([weightsServed(again), again.personalOf(id(1))], [weightsServed(book), record(1, 'own')])
  assert.ok(!JSON.stringify(book.page).includes('learningRate'), 'the wish comes with every check-in')
  assert.equal(again.fitted(record(1)), true)
  assert.deepEqual(weightsServed(again), [file('weights 1').sha256])
})

test('what was fitted and fails with requests gives way to the released version, not to the one before', () => {
  const book = new DeploymentBook()
  serve(book, offer(1))
  serve(book, wished(2))
  book.fitted(record(2, 'own'))
  assert.equal(book.unhealthy(id(2), 'NaN'), true)
  assert.deepEqual([states(book), weightsServed(book)], [['2 r1 serving'], [file('weights 2').sha256]])
  assert.deepEqual(book.personalOf(id(2))?.result, { outcome: 'failed', code: 'PERSONAL_UNHEALTHY', detail: 'NaN' })
  assert.equal(book.unhealthy(id(2), 'NaN'), true)
  assert.deepEqual([states(book), weightsServed(book)], [['2 r1 unhealthy'], [file('weights 1').sha256]])
})

test('what was fitted is kept for a way back, and forgotten with its deployment', () => {
  const book = new DeploymentBook()
  serve(book, wished(1))
  book.fitted(record(1, 'own'))
  book.follow([offer(2)])
  book.passed(offer(2))
  assert.equal(book.personalOf(id(1))?.weights?.sha256, file('own').sha256)
  assert.ok(book.files.has(file('own').sha256))
  book.forgetFormer()
  book.follow([offer(2)])
  assert.equal(book.personalOf(id(1)), undefined)
  assert.ok(!book.files.has(file('own').sha256))
})

test('what was fitted to a version is undone where the owner wants it so', () => {
  const book = new DeploymentBook()
  serve(book, wished(1))
  book.fitted(record(1, 'own'))
  assert.equal(book.unfit(id(1)), true)
  assert.equal(book.unfit(id(1)), false)
  assert.deepEqual([weightsServed(book), book.personalOf(id(1))], [[file('weights 1').sha256], undefined])
})

test('what the owner had forgotten stays so when files of the version are damaged', () => {
  const book = new DeploymentBook()
  serve(book, wished(1))
  book.fitted(record(1, 'own'))
  book.forgetFitted([id(1)])
  const [served] = book.serving.values()
  assert.ok(served)
  book.lost(served)
  assert.equal(book.personalOf(id(1))?.forgotten, true)
})
