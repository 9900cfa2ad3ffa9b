import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exampleOrders } from './example-orders.ts'

const seed = (byte: number): Uint8Array => new Uint8Array(32).fill(byte)

test('each local epoch visits every example once, in another order', () => {
  const orders = exampleOrders(seed(1), 1000, 3)
  const all = Array.from({ length: 1000 }, (_, row) => row)
  for (const order of orders)
    assert.deepEqual(
      [...order].sort((a, b) => a - b),
      all,
    )
  assert.notDeepEqual(orders[0], orders[1])
  assert.notDeepEqual(orders[1], orders[2])
})

test('the same seed gives the same orders and another seed others', () => {
  assert.deepEqual(exampleOrders(seed(1), 100, 2), exampleOrders(seed(1), 100, 2))
  assert.notDeepEqual(exampleOrders(seed(1), 100, 2), exampleOrders(seed(2), 100, 2))
})

test('every order of three examples is about equally frequent', () => {
  const counts = new Map<string, number>()
  for (const order of exampleOrders(seed(3), 3, 6000)) counts.set(order.join(), (counts.get(order.join()) ?? 0) + 1)
  assert.equal(counts.size, 6)
  // Binomial with p = 1/6: standard deviation 29, so 150 is five of them.
  for (const count of counts.values()) assert.ok(Math.abs(count - 1000) < 150, `${count}`)
})

test('a short seed is refused', () => {
  assert.throws(() => exampleOrders(new Uint8Array(8), 10, 1), { code: 'SETTINGS_INVALID' })
})
