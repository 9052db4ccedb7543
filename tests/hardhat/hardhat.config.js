module.exports = {
  networks: {
    hardhat: {
      // Tests mine several blocks per second, and a chain that runs ahead of the clock is another test's matter.
      allowBlocksWithSameTimestamp: true,
    },
  },
};
