import { Socket } from 'node:net'

// Does to its process what a native library does that finds itself broken.
new Socket({ fd: 3 }).once('data', () => {
  console.error('the kernel of operator Bad is broken')
  process.abort()
})
