import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Personalise } from '@tributary/contracts/personalisation'
import { pino } from 'pino'
import { openPolicy } from '../../policy/policy.ts'
import { bundle, infoOf, temporaryFolder } from '../../testing/federation.ts'
import type { Trainer } from '../../training/trainer.ts'
import { DeploymentBook } from '../deployment-book.ts'
import type { DeploymentOffer } from '../deployment-offer.ts'
import { Fitting } from './fitting.ts'
import { writeForgetRequest } from './forget-request.ts'

const id = (number: number) => `0190b5a0-0000-7000-8000-${number.toString(16).padStart(12, '0')}`
const fileOf = (bytes: Uint8Array) => ({ sha256: infoOf(bytes).sha256, bytes: bytes.length })

const wish: Personalise = {
  dataset: 'stripes',
  heldOut: 'held',
  localEpochs: 1,
  batchSize: 1,
  learningRate: 0.1,
  optimizer: 'sgd',
  frozen: [],
}

const offer = (number: number, personalise?: Personalise): DeploymentOffer => ({
  deployment: id(number),
  revision: 1,
  model: id(100 + number),
  modelName: `model ${number}`,
  version: id(200 + number),
  versionNumber: 1,
  groups: [],
  token: 'token',
  weights: fileOf(bundle.weights),
  manifest: fileOf(bundle.manifest),
  graph: fileOf(bundle.graph),
  ...(personalise && { personalise }),
})

/** One version in service that is to be fitted: the trainer goes on until it is stopped, and is done at once the next time. */
const served = async (folder: string) => {
  for (const bytes of Object.values(bundle)) await writeFile(join(folder, infoOf(bytes).sha256), bytes)
  const book = new DeploymentBook()
  book.follow([offer(1, wish)])
  book.passed(offer(1, wish))
  const begun = Promise.withResolvers<void>()
  let tries = 0
  let job: AbortSignal | undefined
  const trainer: Trainer = {
    async train({ weights }, { signal } = {}) {
      tries += 1
      job = signal
      begun.resolve()
      if (tries === 1) await delay(60_000, undefined, { signal, ref: false })
      return {
        weights: weights.map(value => value / 2),
        steps: 1,
        examplesSeen: 1,
        meanLoss: 0,
        seconds: 0,
        flushToZero: true,
      }
    },
    evaluate: async () => ({ examples: 1, correct: 1, sums: {}, lossSum: 1, seconds: 0 }),
    async [Symbol.asyncDispose]() {},
  }
  const nothing = async () => assert.fail('no rows are read here')
  const refused = new Set<string>()
  const fitting = new Fitting({
    folder,
    book,
    versions: { check: async () => {} },
    personal: {
      datasets: {
        load: async name => ({ examples: 1, file: name, header: {} as never, open: nothing, read: nothing }),
        heldOutOf: () => undefined,
      },
      trainer,
      local: { newest: async () => undefined },
      policy: {
        refusal: async () => undefined,
        watch: () => ({ signal: new AbortController().signal, [Symbol.dispose]: () => {} }),
        share: openPolicy.share,
      },
    },
    fileOf: ({ sha256 }) => join(folder, sha256),
    mostBytes: () => 2 ** 30,
    isRefused: deployment => refused.has(deployment),
    onServed: () => {},
    onDamaged: deployment => assert.fail(`${deployment} is damaged`),
    log: pino({ level: 'silent' }),
  })
  const stop = new AbortController()
  return { book, fitting, refused, stop, begun: begun.promise, tries: () => tries, isStopped: () => job?.aborted }
}

const begin = async (folder: string) => {
  const { begun, ...all } = await served(folder)
  const fitted = all.fitting.fitAll(all.stop.signal)
  await begun
  return { ...all, fitted }
}

test('what gave way to another version is fitted once that one is in service', async () => {
  await using folder = await temporaryFolder()
  const { book, fitting, fitted, stop, tries } = await begin(folder.path)
  book.follow([offer(1, wish), offer(2)])
  fitting.giveWay()
  await fitted
  assert.equal(book.personalOf(id(1)), undefined)
  book.passed(offer(2))
  await fitting.fitAll(stop.signal)
  assert.equal(tries(), 2)
  assert.equal(book.personalOf(id(1))?.result.outcome, 'global')
})

test('a version that the owner does not let come into service stops nothing', async () => {
  await using folder = await temporaryFolder()
  const { book, fitting, fitted, refused, stop, tries, isStopped } = await begin(folder.path)
  refused.add(id(2))
  book.follow([offer(1, wish), offer(2)])
  fitting.giveWay()
  assert.equal(isStopped(), false)
  // Deployed here no more.
  book.follow([])
  fitting.giveWay()
  assert.equal(isStopped(), true)
  await fitted
  await fitting.fitAll(stop.signal)
  assert.equal(tries(), 1)
})

test('what its owner had fitted by hand and forgotten is not fitted because others ask for it, and they hear so', async () => {
  await using folder = await temporaryFolder()
  const { book, fitting, stop, tries } = await served(folder.path)
  const weights = fileOf(bundle.weights)
  book.fitted({ deployment: id(1), key: weights.sha256, own: true, result: { outcome: 'personal' }, weights })
  await writeForgetRequest(folder.path, [id(1)])
  assert.equal(await fitting.heedOwner(async () => {}), true)
  await fitting.fitAll(stop.signal)
  assert.equal(tries(), 0)
  assert.deepEqual(book.states[0]?.personalised, {
    outcome: 'refused',
    code: 'POLICY_REFUSED',
    detail: 'The owner of the device had it forgotten.',
  })
})
