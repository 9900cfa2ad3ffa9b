import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { type JobControl, type JobOutcome, JobSlot } from './job-slot.ts'

type Job = { readonly name: string; readonly token: number; readonly rank: number }

/** A slot whose jobs end when the test says so, or when they are cancelled. */
const slotOf = () => {
  const log: string[] = []
  const ends = new Map<string, (outcome: JobOutcome) => void>()
  const controls = new Map<string, JobControl<Job>>()
  const slot = new JobSlot<Job>({
    keyOf: ({ name }) => name,
    isSupersededBy: (current, offered) => offered.rank > current.rank,
    run: ({ name }, control) => {
      controls.set(name, control)
      return new Promise(resolve => {
        ends.set(name, resolve)
        control.signal.addEventListener('abort', () => {
          log.push(`${name}: ${(control.signal.reason as Error).message}`)
          resolve('again')
        })
      })
    },
    onChange: change => log.push(`${slot.current?.job.name ?? 'nothing'} ${change}`),
  })
  return { slot, log, ends, controls }
}

suite('a job slot', () => {
  test('does one job at a time; other work is left to be offered again', async () => {
    const { slot, log } = slotOf()
    await slot.offer({ name: 'a', token: 1, rank: 1 })
    await slot.offer({ name: 'b', token: 1, rank: 1 })
    assert.equal(slot.current?.job.name, 'a')
    await slot.stop('over')
    assert.deepEqual(log, ['a started', 'a: over', 'nothing ended'])
  })

  test('hands a running job the token of the newest offer', async () => {
    const { slot, controls } = slotOf()
    await slot.offer({ name: 'a', token: 1, rank: 1 })
    await slot.offer({ name: 'a', token: 2, rank: 1 })
    assert.equal(controls.get('a')?.latest().token, 2)
    await slot.stop('over')
  })

  test('ends a job for one that makes it pointless', async () => {
    const { slot, log } = slotOf()
    await slot.offer({ name: 'a', token: 1, rank: 1 })
    await slot.offer({ name: 'b', token: 1, rank: 2 })
    assert.equal(slot.current?.job.name, 'b')
    assert.deepEqual(log, ['a started', 'a: newer work takes its place', 'nothing ended', 'b started'])
    await slot.stop('over')
  })

  test('does not take up again what is over', async () => {
    const { slot, ends, log } = slotOf()
    await slot.offer({ name: 'a', token: 1, rank: 1 })
    ends.get('a')?.('over')
    await slot.cancel('a', 'waits for the end')
    await slot.offer({ name: 'a', token: 1, rank: 1 })
    assert.equal(slot.current, undefined)
    assert.equal(log.filter(line => line === 'a started').length, 1)
  })

  test('cancels by key only, and takes nothing up after a stop', async () => {
    const { slot } = slotOf()
    await slot.offer({ name: 'a', token: 1, rank: 1 })
    await slot.cancel('b', 'not this one')
    assert.equal(slot.current?.job.name, 'a')
    await slot.stop('over')
    await slot.offer({ name: 'c', token: 1, rank: 9 })
    assert.equal(slot.current, undefined)
  })
})
