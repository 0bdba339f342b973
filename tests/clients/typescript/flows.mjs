// The ordinary flows of @nktkas/hyperliquid, unmodified, against the exchange at the given address.
// Prints one JSON object: what each flow saw. Ends with 1 at the first thing that fails.
import * as hl from "@nktkas/hyperliquid";
import { privateKeyToAccount } from "viem/accounts";
import { WebSocket } from "ws";

// Node has a WebSocket of its own from version 22 on.
globalThis.WebSocket ??= WebSocket;

const [url, key] = process.argv.slice(2);
const wallet = privateKeyToAccount(key);
const user = wallet.address.toLowerCase();
const http = new hl.HttpTransport({ isTestnet: true, apiUrl: url });
const socket = new hl.WebSocketTransport({ isTestnet: true, url: `${url.replace("http", "ws")}/ws` });
const info = new hl.InfoClient({ transport: http });
const exchange = new hl.ExchangeClient({ transport: http, wallet });
const subscriptions = new hl.SubscriptionClient({ transport: socket });
const seen = {};

/** Keep what a channel says until `wanted` holds for one message. */
function listener(wanted) {
  let resolve;
  const heard = new Promise((done) => { resolve = done; });
  const timer = setTimeout(() => resolve(null), 20_000);
  const hear = (data) => { if (wanted(data)) { clearTimeout(timer); resolve(data); } };
  return { hear, heard };
}

async function readMarkets() {
  const [meta, contexts] = await info.metaAndAssetCtxs();
  const spot = await info.spotMeta();
  const mids = await info.allMids();
  const book = await info.l2Book({ coin: "BTC", nSigFigs: 4 });
  const candles = await info.candleSnapshot({
    coin: "BTC", interval: "5m", startTime: Date.now() - 3_600_000,
  });
  seen.markets = {
    universe: meta.universe.length, contexts: contexts.length, btc: meta.universe[0].name,
    tokens: spot.tokens.length, mid: Number(mids.BTC), levels: book.levels[0].length,
    candles: candles.length, dexs: (await info.perpDexs()).length,
    funding: (await info.fundingHistory({ coin: "BTC", startTime: Date.now() - 86_400_000 })).length,
  };
}

async function tradePerps() {
  const fills = listener((event) => event.fills.some((fill) => fill.coin === "BTC"));
  const updates = listener((rows) => rows.some((row) => row.status === "canceled"));
  await subscriptions.userFills({ user }, fills.hear);
  await subscriptions.orderUpdates({ user }, updates.hear);
  await exchange.updateLeverage({ asset: 0, isCross: true, leverage: 5 });
  const mid = Number((await info.allMids()).BTC);
  const low = String(Math.round(mid * 0.95));
  const cloid = `0x${"0".repeat(30)}7a`;
  const limit = { a: 0, b: true, p: low, s: "0.01", r: false, t: { limit: { tif: "Gtc" } }, c: cloid };
  const placed = await exchange.order({ orders: [limit], grouping: "na" });
  const { oid } = placed.response.data.statuses[0].resting;
  await exchange.modify({ oid, order: { ...limit, s: "0.02" } });
  const open = await info.openOrders({ user });
  await exchange.cancelByCloid({ cancels: [{ asset: 0, cloid }] });
  const high = String(Math.round(mid * 1.02));
  const taken = await exchange.order({
    orders: [{ a: 0, b: true, p: high, s: "0.01", r: false, t: { limit: { tif: "Ioc" } } }],
    grouping: "na",
  });
  const stop = String(Math.round(mid * 0.9));
  const guarded = await exchange.order({
    orders: [{
      a: 0, b: false, p: String(Math.round(mid * 0.85)), s: "0.01", r: true,
      t: { trigger: { isMarket: true, triggerPx: stop, tpsl: "sl" } },
    }],
    grouping: "positionTpsl",
  });
  const state = await info.clearinghouseState({ user });
  const frontend = await info.frontendOpenOrders({ user });
  const closed = await exchange.order({
    orders: [{
      a: 0, b: false, p: String(Math.round(mid * 0.98)), s: "0.01", r: true,
      t: { limit: { tif: "Ioc" } },
    }],
    grouping: "na",
  });
  const refused = await exchange.order({
    orders: [{ a: 0, b: true, p: low, s: "0.00001", r: false, t: { limit: { tif: "Gtc" } } }],
    grouping: "na",
  }).catch((error) => error.message);
  seen.perps = {
    oid, openSize: open[0].sz, cloid: open[0].cloid, filled: taken.response.data.statuses[0].filled.totalSz,
    guard: guarded.response.data.statuses[0], position: state.assetPositions[0].position.szi,
    trigger: frontend[0].triggerCondition, isPositionTpsl: frontend[0].isPositionTpsl,
    closed: closed.response.data.statuses[0].filled.totalSz, refused,
    heardFill: (await fills.heard) !== null, heardCancel: (await updates.heard) !== null,
    fills: (await info.userFills({ user })).map((fill) => fill.dir),
  };
}

async function tradeSpot() {
  await exchange.usdClassTransfer({ amount: "500", toPerp: false });
  const { universe, tokens } = await info.spotMeta();
  const pair = universe.find((row) => tokens[row.tokens[0]].name === "UBTC");
  const mid = Number((await info.allMids())[pair.name]);
  const bought = await exchange.order({
    orders: [{
      a: 10_000 + pair.index, b: true, p: String(Math.round(mid * 1.02)), s: "0.001", r: false,
      t: { limit: { tif: "Ioc" } },
    }],
    grouping: "na",
  });
  const { balances } = await info.spotClearinghouseState({ user });
  seen.spot = {
    filled: bought.response.data.statuses[0].filled.totalSz,
    coins: balances.map((row) => row.coin), feeToken: (await info.userFills({ user }))[0].feeToken,
  };
}

async function useAccounts() {
  const agent = privateKeyToAccount(`0x${"5a".repeat(32)}`);
  await exchange.approveAgent({ agentAddress: agent.address, agentName: "flows" });
  const asAgent = new hl.ExchangeClient({ transport: http, wallet: agent });
  const twap = await asAgent.twapOrder({ twap: { a: 0, b: true, s: "0.01", r: false, m: 5, t: false } });
  const twapId = twap.response.data.status.running.twapId;
  await asAgent.twapCancel({ a: 0, t: twapId });
  await exchange.usdSend({ destination: `0x${"7".repeat(40)}`, amount: "5" });
  seen.accounts = {
    agents: (await info.extraAgents({ user })).map((row) => row.name),
    role: (await info.userRole({ user: agent.address })).role, twapId,
    fees: (await info.userFees({ user })).userCrossRate,
    budget: (await info.userRateLimit({ user })).nRequestsCap,
    ledger: (await info.userNonFundingLedgerUpdates({ user })).map((row) => row.delta.type),
    portfolio: (await info.portfolio({ user })).length,
  };
}

async function hearMarkets() {
  const book = listener((data) => data.levels[0].length > 0);
  const quote = listener((data) => data.bbo[0] !== null);
  const candle = listener((data) => data.i === "1m");
  const mids = listener((data) => data.mids.BTC !== undefined);
  await subscriptions.l2Book({ coin: "BTC" }, book.hear);
  await subscriptions.bbo({ coin: "BTC" }, quote.hear);
  await subscriptions.candle({ coin: "BTC", interval: "1m" }, candle.hear);
  await subscriptions.allMids(mids.hear);
  seen.streams = {
    book: (await book.heard) !== null, quote: (await quote.heard) !== null,
    candle: (await candle.heard) !== null, mids: (await mids.heard) !== null,
  };
}

for (const flow of [readMarkets, tradePerps, tradeSpot, useAccounts, hearMarkets]) {
  try {
    await flow();
  } catch (error) {
    console.error(`${flow.name}: ${error.stack}`);
    process.exit(1);
  }
}
console.log(JSON.stringify(seen));
process.exit(0);
